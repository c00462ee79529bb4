package main

import (
	"math"
	"slices"
)

// An interval is a median and where the true one is with a probability of 95 %,
// as far as the number of values can tell. It presumes nothing of how the values
// are distributed.
type interval struct{ median, low, high float64 }

// intervalOf is the interval of values, which it sorts; of none it is NaN.
func intervalOf(values []float64) interval {
	n := len(values)
	if n == 0 {
		return interval{math.NaN(), math.NaN(), math.NaN()}
	}
	slices.Sort(values)
	k := outside(n)
	return interval{median(values), values[k], values[n-1-k]}
}

// median is the middle of sorted values.
func median(values []float64) float64 {
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// outside is how many of n sorted values may be left out at each end such that the
// median of what they were drawn from is between the rest in 95 % of all cases:
// each value is above it or below it by the toss of a coin. Below six values even
// all of them are not that sure.
func outside(n int) int {
	out := 0
	tail, term := 0.0, math.Pow(0.5, float64(n)) // the chance of k heads in n tosses
	for k := 0; k < n/2; k++ {
		tail += term
		if 2*tail > 0.05 {
			break
		}
		out = k
		term *= float64(n-k) / float64(k+1)
	}
	return out
}

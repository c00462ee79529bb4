package main

import (
	"math"
	"slices"
)

// An interval is a median with its 95 % confidence interval, as far as the number of
// values allows. It assumes nothing about their distribution.
type interval struct{ median, low, high float64 }

// intervalOf is the interval of values. Without values it is NaN.
func intervalOf(values []float64) interval {
	n := len(values)
	if n == 0 {
		return interval{math.NaN(), math.NaN(), math.NaN()}
	}
	values = slices.Sorted(slices.Values(values))
	k := outside(n)
	return interval{median(values), values[k], values[n-1-k]}
}

// median is the middle of sorted values.
func median(values []float64) float64 {
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// outside is how many of n sorted values can be left out at each end while the rest
// still enclose the true median in 95 % of all cases: each value is above or below it
// by the toss of a coin. Fewer than six values cannot reach 95 %.
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

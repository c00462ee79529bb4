package model

import (
	"math"
	"math/rand/v2"
)

// Sizes is a distribution of message sizes: log-normal, as studies of mail servers find for
// the bulk of the messages, and cut at the largest message that the site accepts.
type Sizes struct {
	Median float64 // bytes
	Sigma  float64 // standard deviation of the natural logarithm
	Min    float64 // headers need some room
	Max    float64
}

// Mail are the sizes that the model assumes by default. Their mean is about 75 KB, which
// Microsoft's sizing guides assume for mail.
var Mail = Sizes{Median: 12 << 10, Sigma: 1.94, Min: 1 << 10, Max: 25 << 20}

// Sample returns n sizes that are spread evenly over the distribution, in a random order
// that is always the same.
func (s Sizes) Sample(n int) []int64 {
	sizes := make([]int64, n)
	for i := range sizes {
		sizes[i] = int64(s.quantile((float64(i) + 0.5) / float64(n)))
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(n, func(i, j int) { sizes[i], sizes[j] = sizes[j], sizes[i] })
	return sizes
}

// quantile is the size that the share p of messages does not exceed.
func (s Sizes) quantile(p float64) float64 {
	z := math.Sqrt2 * math.Erfinv(2*p-1)
	return min(max(s.Median*math.Exp(s.Sigma*z), s.Min), s.Max)
}

// steps is how finely expectations are computed.
const steps = 100_000

// mean is the expectation of f over the sizes.
func (s Sizes) mean(f func(size float64) float64) float64 {
	sum := 0.0
	for i := range steps {
		sum += f(s.quantile((float64(i) + 0.5) / steps))
	}
	return sum / steps
}

// Mean is the mean size in bytes.
func (s Sizes) Mean() float64 { return s.mean(func(v float64) float64 { return v }) }

// Above is the share of messages above a size.
func (s Sizes) Above(size float64) float64 {
	return s.mean(func(v float64) float64 {
		if v > size {
			return 1
		}
		return 0
	})
}

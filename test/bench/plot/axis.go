package main

import "math"

// An axis maps values to pixels.
type axis struct {
	log      bool
	min, max float64
	from, to float64 // pixels
	ticks    []float64
}

// newAxis is an axis for values from low to high.
func newAxis(log bool, low, high, from, to float64) axis {
	a := axis{log: log, from: from, to: to}
	if log {
		a.min, a.max = decade(low, -1), decade(high, 1)
		a.ticks = powers(a.min, a.max, 1)
		if len(a.ticks) < 3 {
			a.ticks = powers(a.min, a.max, 1, 2, 5)
		}
		return a
	}
	step := niceStep(high / 5)
	a.max = math.Ceil(high/step-1e-9) * step
	for v := 0.0; v <= a.max+step/2; v += step {
		a.ticks = append(a.ticks, v)
	}
	return a
}

// powers are the powers of ten from low to high, times each of the factors.
func powers(low, high float64, factors ...float64) (all []float64) {
	for v := math.Pow(10, math.Floor(math.Log10(low)+1e-9)); v <= high*1.001; v *= 10 {
		for _, f := range factors {
			if f*v >= low*0.999 && f*v <= high*1.001 {
				all = append(all, f*v)
			}
		}
	}
	return all
}

// decade rounds v to the next of 1, 2, 5, 10 ... below or above.
func decade(v float64, direction int) float64 {
	base := math.Pow(10, math.Floor(math.Log10(v)))
	steps := []float64{1, 2, 5, 10}
	if direction > 0 {
		for _, s := range steps {
			if s*base >= v*0.999 {
				return s * base
			}
		}
	}
	for i := len(steps) - 1; i >= 0; i-- {
		if steps[i]*base <= v*1.001 {
			return steps[i] * base
		}
	}
	return v
}

// niceStep is the next of 1, 2, 5, 10 ... above v.
func niceStep(v float64) float64 { return decade(math.Max(v, 1e-9), 1) }

// at is the pixel of v.
func (a *axis) at(v float64) float64 {
	share := (v - a.min) / (a.max - a.min)
	if a.log {
		share = (math.Log(math.Max(v, a.min)) - math.Log(a.min)) / (math.Log(a.max) - math.Log(a.min))
	}
	return a.from + share*(a.to-a.from)
}

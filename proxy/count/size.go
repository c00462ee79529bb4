package count

import "time"

// Sizes are the upper bounds of the classes of objects by size, in bytes. One more class
// is for larger objects.
var Sizes = [...]int64{16 << 10, 256 << 10, 4 << 20}

// Classes is the number of classes.
const Classes = len(Sizes) + 1

// ClassNames are the names of the classes for people and for labels.
var ClassNames = [Classes]string{"16KiB", "256KiB", "4MiB", "larger"}

func class(size int64) int {
	i := 0
	for i < len(Sizes) && size > Sizes[i] {
		i++
	}
	return i
}

// Times counts durations by the size of the object. The zero value is ready for use, by any
// number of goroutines.
type Times [Classes]Histogram

// Observe adds one duration.
func (t *Times) Observe(size int64, d time.Duration) { t[class(size)].Observe(d) }

// Sum adds up what was counted in each class.
func Sum(classes [Classes]Value) (all Value) {
	for _, v := range classes {
		all.Add(v)
	}
	return all
}

// Value returns what has been counted in each class, see [Histogram.Value].
func (t *Times) Value() (v [Classes]Value) {
	for i := range t {
		v[i] = t[i].Value()
	}
	return v
}

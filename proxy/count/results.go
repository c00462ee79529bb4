package count

import (
	"encoding/json"
	"iter"
	"sync/atomic"

	"polyclam/backends"
)

// categories is the number of categories.
const categories = 9

// names are the categories in the default precedence.
var names = [categories]backends.Category(backends.Categories())

// indexOf returns the index of a category in names. One that is unknown counts as SWErr,
// as everywhere.
func indexOf(c backends.Category) int {
	if c == backends.OK { // by far the most frequent
		return categories - 1
	}
	swerr := 0
	for i, name := range names {
		switch name {
		case c:
			return i
		case backends.SWErr:
			swerr = i
		}
	}
	return swerr
}

// Categories counts results by category. The zero value is ready for use, by any number of
// goroutines.
type Categories [categories]atomic.Uint64

// Add counts one result.
func (cs *Categories) Add(c backends.Category) { cs[indexOf(c)].Add(1) }

// Value returns what has been counted.
func (cs *Categories) Value() (v ByCategory) {
	for i := range cs {
		v[i] = cs[i].Load()
	}
	return v
}

// ByCategory is the content of [Categories].
type ByCategory [categories]uint64

// Of returns the count of one category.
func (v ByCategory) Of(c backends.Category) uint64 { return v[indexOf(c)] }

// Add adds to the count of one category.
func (v *ByCategory) Add(c backends.Category, n uint64) { v[indexOf(c)] += n }

// All iterates over all categories, in the default precedence.
func (v ByCategory) All() iter.Seq2[backends.Category, uint64] {
	return func(yield func(backends.Category, uint64) bool) {
		for i, n := range v {
			if !yield(names[i], n) {
				return
			}
		}
	}
}

// Total is the sum of all counts.
func (v ByCategory) Total() (n uint64) {
	for _, c := range v {
		n += c
	}
	return n
}

// MarshalJSON returns an object with the counts that are not 0.
func (v ByCategory) MarshalJSON() ([]byte, error) {
	m := map[backends.Category]uint64{}
	for c, n := range v.All() {
		if n > 0 {
			m[c] = n
		}
	}
	return json.Marshal(m)
}

// UnmarshalJSON reads what MarshalJSON has written.
func (v *ByCategory) UnmarshalJSON(text []byte) error {
	var m map[backends.Category]uint64
	if err := json.Unmarshal(text, &m); err != nil {
		return err
	}
	*v = ByCategory{}
	for c, n := range m {
		v.Add(c, n)
	}
	return nil
}

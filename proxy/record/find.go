package record

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Find returns the records with an ID, a tag or a SHA-256, the newest first, at most max.
// The first 8 digits or more of a SHA-256 are enough.
func (r *Ring) Find(key string, max int) []*Scan {
	sum := strings.ToLower(key)
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []*entry
	add := func(kind int, of string, matches func(*Scan) bool) {
		n := 0
		for e := r.index[kind][r.hash(of)].newest; e != nil && n < max; e = e.links[kind].older {
			if matches(e.scan) && !slices.Contains(found, e) {
				found = append(found, e)
				n++
			}
		}
	}
	add(byID, key, func(s *Scan) bool { return s.ID == key })
	add(byTag, key, func(s *Scan) bool { return s.Tag == key })
	if len(sum) >= shaPrefix && len(sum) <= 64 {
		add(bySHA256, sum[:shaPrefix], func(s *Scan) bool { return strings.HasPrefix(s.SHA256, sum) })
	}
	slices.SortFunc(found, func(a, b *entry) int { return cmp.Compare(b.serial, a.serial) })
	scans := make([]*Scan, 0, min(len(found), max))
	for _, e := range found[:min(len(found), max)] {
		scans = append(scans, e.scan)
	}
	return scans
}

// NotOK returns the most recent records that are not ok, the newest first, at most max.
func (r *Ring) NotOK(max int) []*Scan {
	r.mu.Lock()
	defer r.mu.Unlock()
	var scans []*Scan
	for e := r.halves[notOKHalf].all.newest; e != nil && len(scans) < max; e = e.links[inHalf].older {
		scans = append(scans, e.scan)
	}
	return scans
}

// Since returns from which time on the ring has all records that are ok, and all that are
// not. Some older ones may be there too. The zero time means that none was dropped so far.
func (r *Ring) Since() (ok, notOK time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.halves[okHalf].dropped, r.halves[notOKHalf].dropped
}

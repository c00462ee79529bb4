package main

import (
	"fmt"
	"os"
	"time"

	"polyclam/backends"
	"polyclam/backends/testfile"
	"polyclam/cmd/internal/config"
	"polyclam/proxy/spool"
)

const (
	// clamdMost is the largest object that clamd 1.4.6 scans, whatever its limits
	// are. To anything larger it says OK, or names MaxFileSize with AlertExceedsMax.
	clamdMost = 1<<31 - 3
	// otherMost bounds the trial of other engines: most are sent the bytes.
	otherMost = 256 << 20
	// usualSize is tried where the configuration has no limit.
	usualSize = 100 << 20
)

// smallerSizes are tried, the largest first, when an object of max_size was not
// scanned: they tell what the engine's own limit is about.
var smallerSizes = []int64{1 << 30, 500 << 20, 200 << 20, 100 << 20, 50 << 20, 25 << 20, 10 << 20, 5 << 20, 1 << 20, testfile.LargeMin}

// sizeTrial is whether a node scans objects as large as polyclamd would give it. The
// object is an archive with EICAR in front and zeros behind: only its size differs
// from one in which the node has found EICAR already.
type sizeTrial struct {
	tried   int64 // bytes; 0: nothing was tried
	answer  trialAnswer
	scanned int64 // the largest size that was scanned
	// beyond says that the node may be given objects larger than clamd ever scans.
	beyond bool
}

// silent reports whether the node said that there is nothing in an object that it
// did not scan.
func (s *sizeTrial) silent() bool { return s.tried > 0 && s.answer.category == backends.OK }

// column is what was found out, for a table.
func (s *sizeTrial) column() string {
	switch {
	case s.tried == 0:
		return ""
	case s.answer.found():
		return size(s.tried)
	case s.answer.category.IsFailure():
		return s.answer.word() + " at " + size(s.tried)
	}
	return size(s.scanned) + " of " + size(s.tried)
}

// sizeToTry is the largest object that the one engine of file would be given, as far
// as it is tried; beyond as in sizeTrial.
func sizeToTry(file *config.File) (largest int64, beyond bool) {
	u := file.Engines[0]
	largest, most := u.MaxSize, int64(otherMost)
	if largest == 0 {
		largest = file.Limits.Stream
	}
	if largest == 0 {
		largest = usualSize
	}
	if u.Backend == clamdBackend {
		most, beyond = clamdMost, u.MaxSize == 0 || u.MaxSize > clamdMost
	}
	return max(min(largest, most), testfile.LargeMin), beyond
}

// trySizes tries an object of the largest size, and smaller ones if that is not
// scanned.
func (n *node) trySizes(largest int64, timeout time.Duration) sizeTrial {
	s := sizeTrial{tried: largest, answer: n.trySize(largest, timeout)}
	if s.answer.found() {
		s.scanned = largest
		return s
	}
	if s.answer.err != nil {
		return s
	}
	for _, smaller := range smallerSizes {
		if smaller < largest && n.trySize(smaller, timeout).found() {
			s.scanned = smaller
			break
		}
	}
	return s
}

// slowest is how many bytes an engine must take and scan in a second, lest the trial
// of a large object last for ever.
const slowest = 20 << 20

func (n *node) trySize(size int64, timeout time.Duration) trialAnswer {
	timeout = min(timeout, 10*time.Second) + time.Duration(size/slowest)*time.Second
	obj, err := large(n.store, size)
	if err != nil {
		return trialAnswer{category: backends.SWErr, err: fmt.Errorf("the test object could not be made: %w", err)}
	}
	return n.try(obj, timeout)
}

// large makes the test object. Its zeros take no memory until something maps them.
func large(store *spool.Spool, size int64) (*spool.Object, error) {
	archive, err := testfile.Large(size)
	if err != nil {
		return nil, err
	}
	return store.Make(func(f *os.File) error { return testfile.WriteSparse(f, archive) })
}

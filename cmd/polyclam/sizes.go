package main

import (
	"fmt"
	"os"
	"time"

	"polyclam/backends"
	"polyclam/backends/testfile"
	"polyclam/cmd/internal/config"
	"polyclam/cmd/internal/size"
	"polyclam/proxy/spool"
)

const (
	// clamdMaxSize is the largest object that clamd 1.4.6 scans with any configuration.
	// For anything larger it reports OK, or MaxFileSize if AlertExceedsMax is set.
	clamdMaxSize = 1<<31 - 3
	// otherMaxSize is the largest object tried with other engines: most of them receive
	// every byte over the network.
	otherMaxSize = 256 << 20
	// unlimitedSize is tried if the configuration has no limit.
	unlimitedSize = 100 << 20
)

// smallerSizes are tried, the largest first, if an object of max_size is not scanned. They
// show roughly where the engine's own limit is.
var smallerSizes = []int64{1 << 30, 500 << 20, 200 << 20, 100 << 20, 50 << 20, 25 << 20, 10 << 20, 5 << 20, 1 << 20, testfile.LargeMin}

// sizeTrial shows whether a node scans objects as large as polyclamd would send it. The
// object is an archive of EICAR, followed by zeros. It differs only in size from one in
// which the node has already found EICAR.
type sizeTrial struct {
	tried   int64 // bytes; 0: nothing was tried
	answer  trialAnswer
	scanned int64 // the largest size that was scanned
	// beyond reports whether polyclamd may give a clamd more than clamdMaxSize.
	beyond bool
}

// falseOK reports whether the node reported ok for an object that it did not scan.
func (s *sizeTrial) falseOK() bool { return s.tried > 0 && s.answer.category == backends.OK }

// cell returns the result for a table.
func (s *sizeTrial) cell() string {
	switch {
	case s.tried == 0:
		return ""
	case s.answer.found():
		return size.Human(s.tried)
	case s.answer.category.IsFailure():
		return s.answer.word() + " at " + size.Human(s.tried)
	}
	return size.Human(s.scanned) + " of " + size.Human(s.tried)
}

// sizeToTry returns the size of the largest object to try with the only engine of file, and
// beyond for its sizeTrial.
func sizeToTry(file *config.File) (largest int64, beyond bool) {
	e := file.Engines[0]
	largest, most := e.MaxSize, int64(otherMaxSize)
	if largest == 0 {
		largest = file.Limits.Stream
	}
	if largest == 0 {
		largest = unlimitedSize
	}
	if e.Backend == clamdBackend {
		most, beyond = clamdMaxSize, e.MaxSize == 0 || e.MaxSize > clamdMaxSize
	}
	return max(min(largest, most), testfile.LargeMin), beyond
}

// trySizes tries an object of the largest size, and smaller ones if it is not scanned.
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

// minRate is how many bytes per second an engine must receive and scan. It bounds the
// trial of a large object.
const minRate = 20 << 20

func (n *node) trySize(bytes int64, timeout time.Duration) trialAnswer {
	timeout = min(timeout, 10*time.Second) + time.Duration(bytes/minRate)*time.Second
	obj, err := large(n.store, bytes)
	if err != nil {
		return trialAnswer{category: backends.SWErr, err: fmt.Errorf("create the test object: %w", err)}
	}
	return n.try(obj, timeout)
}

// large creates the test object. Its zeros take no memory until they are mapped.
func large(store *spool.Spool, bytes int64) (*spool.Object, error) {
	archive, err := testfile.Large(bytes)
	if err != nil {
		return nil, err
	}
	return store.Make(func(f *os.File) error { return testfile.WriteSparse(f, archive) })
}

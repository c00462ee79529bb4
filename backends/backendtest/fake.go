package backendtest

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"polyclam/backends"
)

// Fake is a scripted [backends.Backend]. Its fields are set before use and tell
// what each scan does, in this order: count, Panic, Until, Hang, Delay, Read,
// then return Result and Err as they are. It is safe for concurrent use.
type Fake struct {
	Result backends.Result
	Err    error
	// Delay is how long a scan takes, unless its context ends before.
	Delay time.Duration
	// Hang lets a scan wait for its context.
	Hang bool
	// Until lets a scan wait for the channel to be closed whatever its context
	// says: an engine that has lost its mind.
	Until <-chan struct{}
	// Panic, if not nil, is what a scan panics with.
	Panic any
	// Read lets a scan read the whole content; an error of that is the scan's.
	Read bool

	mu      sync.Mutex
	calls   int
	running int
	most    int
}

// Says is a Fake that finds what r says.
func Says(r backends.Result) *Fake { return &Fake{Result: r} }

// Fails is a Fake that does not come to an answer.
func Fails(err error) *Fake { return &Fake{Err: err} }

// Scan implements [backends.Backend].
func (f *Fake) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	f.enter()
	defer f.leave()
	if f.Panic != nil {
		panic(f.Panic)
	}
	if f.Until != nil {
		<-f.Until
	}
	if err := f.wait(ctx); err != nil {
		return backends.Result{}, err
	}
	if f.Read {
		n, err := io.Copy(io.Discard, io.NewSectionReader(o, 0, o.Size()))
		if err != nil {
			return backends.Result{}, err
		}
		if n != o.Size() {
			return backends.Result{}, errors.New("the content is shorter than its size")
		}
	}
	return f.Result, f.Err
}

func (f *Fake) wait(ctx context.Context) error {
	if f.Hang {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	if f.Delay <= 0 {
		return nil
	}
	timer := time.NewTimer(f.Delay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

func (f *Fake) enter() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	f.running++
	f.most = max(f.most, f.running)
}

func (f *Fake) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running--
}

// Calls is how many scans were begun.
func (f *Fake) Calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// Running is how many scans are under way.
func (f *Fake) Running() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.running
}

// Most is how many scans were under way at once at most.
func (f *Fake) Most() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.most
}

package backendtest

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"polyclam/backends"
)

// Fake is a scripted [backends.Backend]. Its fields are set before use and define what
// each scan does, in this order: count, Panic, Until, Hang, Delay, Read, then return
// Result and Err unchanged. It is safe for concurrent use.
type Fake struct {
	Result backends.Result
	Err    error
	// Delay is how long a scan takes, unless its context ends earlier.
	Delay time.Duration
	// Hang makes a scan wait until its context ends.
	Hang bool
	// Until makes a scan wait until the channel is closed, even after its context has
	// ended.
	Until <-chan struct{}
	// Panic makes a scan panic with this value if it is not nil.
	Panic any
	// Read makes a scan read the whole object and return any read error.
	Read bool

	mu      sync.Mutex
	calls   int
	running int
	most    int
}

// Says returns a Fake whose result is r.
func Says(r backends.Result) *Fake { return &Fake{Result: r} }

// Fails returns a Fake that fails with err.
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
			return backends.Result{}, errors.New("the object is shorter than its size")
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

// Calls returns the number of scans that have started.
func (f *Fake) Calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// Running returns the number of scans in progress.
func (f *Fake) Running() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.running
}

// Most returns the highest number of concurrent scans so far.
func (f *Fake) Most() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.most
}

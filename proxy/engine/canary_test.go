package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
	"polyclam/backends/testfile"
)

// seconds are the times of e's canaries since begin.
func seconds(e *engine, begin time.Time) []int {
	var s []int
	for _, p := range e.proved() {
		s = append(s, int(p.Sub(begin)/time.Second))
	}
	return s
}

func wantSeconds(t *testing.T, e *engine, begin time.Time, want ...int) {
	t.Helper()
	got := seconds(e, begin)
	if len(got) != len(want) {
		t.Fatalf("canaries at %v, want %v", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("canaries at %v, want %v", got, want)
		}
	}
}

func TestCanaryTimes(t *testing.T) {
	tests := []struct {
		name   string
		engine *engine
		want   []int
	}{
		{"up", &engine{}, []int{0, 60, 120}},
		{"dead", &engine{err: errRefused}, []int{0, 1, 3, 7, 15, 31, 61, 91, 121}},
		{"blind", &engine{blind: true}, []int{0, 1, 3, 7, 15, 31, 61, 91, 121}},
		{"failing", &engine{canary: errors.New("out of memory")}, []int{0, 1, 3, 7, 15, 31, 61, 91, 121}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := withCanary(tt.engine)
				cfg.CanaryInterval = time.Minute
				begin := time.Now()
				u := New(cfg)
				run(t, u)
				time.Sleep(125 * time.Second)
				wantSeconds(t, tt.engine, begin, tt.want...)
			})
		})
	}
}

// TestCanarySooner checks that a dead node and a timeout bring the canary
// forward, and a pass the regular interval back.
func TestCanarySooner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{}
		begin := time.Now()
		u := New(withCanary(e))
		run(t, u)
		time.Sleep(20 * time.Second)
		e.set(func(e *engine) { e.err = errRefused })
		u.Scan(t.Context(), content("x"), false)
		synctest.Wait() // checked immediately, and again after a second
		e.set(func(e *engine) { e.err = nil })
		time.Sleep(10 * time.Second)
		e.set(func(e *engine) { e.gate = make(chan struct{}) })
		u.Scan(t.Context(), content("x"), false) // slow from 32 on, until 40
		synctest.Wait()
		wantSeconds(t, e, begin, 0, 20, 21, 32, 40)
		time.Sleep(5*time.Minute + time.Second)
		wantSeconds(t, e, begin, 0, 20, 21, 32, 40, 340)
	})
}

// TestCanarySlot checks that a canary goes to the head of the queue, takes no
// slot beyond MaxScans, and says nothing about a node that has none for it.
func TestCanarySlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{}
		cfg := withCanary(e)
		cfg.MaxScans, cfg.CanaryInterval, cfg.Timeout = 1, time.Minute, 10*time.Second
		begin := time.Now()
		u := New(cfg)
		run(t, u)
		synctest.Wait()
		time.Sleep(55 * time.Second)
		thaw := make(chan struct{})
		e.set(func(e *engine) {
			e.answer = func(context.Context, backends.Object) (backends.Result, error) {
				<-thaw
				return backends.Clean(0), nil
			}
		})
		u.Scan(t.Context(), content("hung"), false) // until 65
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				r := u.Scan(within(t, time.Minute), content("x"), false)
				wantCategory(t, r.Result, r.Err, backends.OK)
			})
		}
		time.Sleep(14 * time.Second)
		wantSeconds(t, e, begin, 0)
		wantState(t, u, "up") // the canary got no slot until 70
		close(thaw)
		wg.Wait()
		synctest.Wait()
		wantSeconds(t, e, begin, 0, 79)
		if e.most != 1 || e.before[1] != 1 {
			t.Errorf("%d at once, %d scans before the canary", e.most, e.before[1])
		}
		wantIdle(t, u)
	})
}

// TestCanaryNoSpool checks that a content that cannot be made is not held
// against a node, and is not taken for a pass either.
func TestCanaryNoSpool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var broken any = errors.New("no space left on device")
		made, released := 0, 0
		e := &engine{}
		cfg := withCanary(e)
		cfg.CanaryInterval = time.Minute
		cfg.Spool = func(data *io.SectionReader) (backends.Object, func(), error) {
			mu.Lock()
			defer mu.Unlock()
			if err, ok := broken.(error); ok {
				return nil, nil, err
			}
			if broken != nil {
				panic(broken)
			}
			made++
			return content(string(read(&memory{SectionReader: data}))), func() { mu.Lock(); defer mu.Unlock(); released++ }, nil
		}
		u := New(cfg)
		run(t, u)
		for range 2 {
			r := u.Scan(t.Context(), content("x"), false)
			wantCategory(t, r.Result, r.Err, backends.SWErr)
			mu.Lock()
			broken = "panic"
			mu.Unlock()
		}
		wantState(t, u, "unknown")
		mu.Lock()
		broken = nil
		mu.Unlock()
		time.Sleep(firstPause)
		r := u.Scan(t.Context(), content("x"), false)
		wantCategory(t, r.Result, r.Err, backends.OK)
		synctest.Wait() // the scan does not wait for the archive
		mu.Lock()
		broken = errors.New("too many open files")
		mu.Unlock()
		time.Sleep(5 * time.Minute)
		wantState(t, u, "up")
		if made != 5 || released != 5 { // the control, EICAR and three archives
			t.Errorf("%d contents made, %d released", made, released)
		}
	})
}

// TestCanaryRetained has a content that counts its users itself: the hung
// backend is one of them, and it gets the content as the spool made it.
func TestCanaryRetained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thaw := make(chan struct{})
		made := content("x")
		made.users.Store(1)
		cfg := withCanary(backends.Func(func(_ context.Context, o backends.Object) (backends.Result, error) {
			if o != made {
				t.Errorf("content %T", o)
			}
			<-thaw
			return backends.Clean(0), nil
		}))
		cfg.Timeout = time.Second
		cfg.Spool = func(*io.SectionReader) (backends.Object, func(), error) { return made, made.Release, nil }
		u := New(cfg)
		defer u.Close()
		r := u.Scan(within(t, 5*time.Second), content("x"), false)
		wantCategory(t, r.Result, r.Err, backends.Interrupted)
		time.Sleep(cfg.Timeout) // the check itself goes on until its time is up
		if n := made.users.Load(); n != 1 {
			t.Errorf("%d users, want the hung backend", n)
		}
		close(thaw)
		synctest.Wait()
		if n := made.users.Load(); n != 0 {
			t.Errorf("%d users", n)
		}
	})
}

// TestCanaryHangs checks that the content of a canary lives as long as a hung
// backend, and that hung canaries are bounded too.
func TestCanaryHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thaw := make(chan struct{})
		var mu sync.Mutex
		alive, most := 0, 0
		cfg := withCanary(backends.Func(func(_ context.Context, o backends.Object) (backends.Result, error) {
			<-thaw
			return backends.Clean(len(read(o))), nil
		}))
		cfg.MaxScans = 3
		cfg.Spool = func(data *io.SectionReader) (backends.Object, func(), error) {
			mu.Lock()
			defer mu.Unlock()
			alive++
			most = max(most, alive)
			m, _, err := inMemory(data)
			return m, func() { mu.Lock(); defer mu.Unlock(); alive-- }, err
		}
		u := New(cfg)
		run(t, u)
		time.Sleep(10 * time.Minute)
		mu.Lock()
		if alive < 3 || most > 4 {
			t.Errorf("%d contents alive, %d at most", alive, most)
		}
		mu.Unlock()
		wantState(t, u, "down")
		close(thaw)
		time.Sleep(time.Minute)
		synctest.Wait()
		wantState(t, u, "down") // it answers, but does not detect
		wantIdle(t, u)
		if alive != 0 {
			t.Errorf("%d contents alive", alive)
		}
	})
}

// TestMemory reads a canary in the three ways of a content.
func TestMemory(t *testing.T) {
	o, release, err := inMemory(io.NewSectionReader(bytes.NewReader(testfile.EICAR()), 0, 68))
	if err != nil {
		t.Fatal(err)
	}
	f, err := o.File()
	if err != nil {
		t.Fatal(err)
	}
	path, err := o.Path()
	if err != nil {
		t.Fatal(err)
	}
	byPath, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	byFile, err := io.ReadAll(io.NewSectionReader(f, 0, o.Size()))
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range [][]byte{read(o), byFile, byPath} {
		if !bytes.Equal(got, testfile.EICAR()) {
			t.Errorf("read %q", got)
		}
	}
	release()
	if _, err := f.Stat(); err == nil {
		t.Error("the descriptor is still open")
	}
}

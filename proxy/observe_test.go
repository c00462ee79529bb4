package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"polyclam/backends"
	"polyclam/backends/testfile"
	"polyclam/proxy/engine"
	"polyclam/proxy/status"
	"polyclam/test/testkit"
)

// observing makes engine i of the configuration an observed one.
func observing(i int) func(*Config) {
	return func(c *Config) {
		if err := c.Engines[i].SetMode(engine.Observe); err != nil {
			panic(err)
		}
	}
}

// observations returns the counters of engine i.
func (ts *testServer) observations(i int) engine.ObservedCounters {
	return ts.cfg.Engines[i].Status().Observed
}

// setMode changes the mode of engine i.
func (ts *testServer) setMode(i int, m engine.Mode) {
	ts.t.Helper()
	if err := ts.cfg.Engines[i].SetMode(m); err != nil {
		ts.t.Fatal(err)
	}
}

// finds is an engine that calls everything a virus.
func finds(name string) backends.Backend {
	return backends.Func(func(context.Context, backends.Object) (backends.Result, error) { return backends.Found(1, name), nil })
}

var elapsed = regexp.MustCompile(`elapsed=[0-9.]+`)

// TestObserveUnderLoad has many clients scan while an observed engine calls everything a
// virus. Not one byte of a reply changes, and every object is counted. Then the engine is
// switched on, and off, without a reload.
func TestObserveUnderLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("clean"), 0o644); err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("x", 300<<10) // in the store, not in memory
	commands := []string{
		"zINSTREAM\x00" + stream("clean", 4), "zINSTREAM\x00" + stream(string(testfile.EICAR()), 100), "zINSTREAM\x00" + stream(large, 1<<16),
		"zXINSTREAM\x00" + stream("clean", 4), "zXINSTREAM\x00" + stream(string(testfile.EICAR()), 100),
		"zSCAN " + path + "\x00", "zXSCAN " + path + "\x00", "zALLMATCHSCAN " + path + "\x00",
	}
	ask := func(ts *testServer, command string) string { return elapsed.ReplaceAllString(ts.ask(command), "") }
	plain := newServer(t, nil, eicarOnly())
	ts := newServer(t, observing(1), eicarOnly(), testEngine{name: "paranoid", backend: finds("Paranoid")})
	const clients, rounds = 8, 3
	load := func(want map[string]string) {
		t.Helper()
		var wg sync.WaitGroup
		for range clients {
			wg.Go(func() {
				for range rounds {
					for _, c := range commands {
						if got := ask(ts, c); got != want[c] {
							t.Errorf("%.20q: got %q, want %q", c, got, want[c])
						}
					}
				}
			})
		}
		wg.Wait()
	}
	want := map[string]string{}
	for _, c := range commands {
		want[c] = ask(plain, c)
	}
	load(want)
	const scans, viruses = clients * rounds * 8, clients * rounds * 2
	var c engine.ObservedCounters
	testkit.Eventually(t, "every object is counted", func() bool {
		c = ts.observations(1)
		return c.Same+c.Differ+c.Skipped == scans
	})
	if c.Same > viruses || c.Differ > scans-viruses || c.Same == 0 || c.Differ == 0 {
		t.Errorf("%+v of %d scans, %d with a virus", c, scans, viruses)
	}
	log := ts.log.String()
	lines, differ := strings.Count(log, `"message":"observed"`), strings.Count(log, `"would_differ":true,"would_be":"virus","would_act":"quarantine"`)
	if uint64(lines) != c.Same+c.Differ || uint64(differ) != c.Differ {
		t.Errorf("%d log lines, %d of them different; the counters are %+v", lines, differ, c)
	}
	if line := `"engine":"paranoid","category":"virus","names":["Paranoid"],"verdict":"ok","action":"ok","would_differ":true`; !strings.Contains(log, line) {
		t.Errorf("no %s in the log", line)
	}

	ts.setMode(1, engine.On)
	for _, command := range commands {
		if got := ts.ask(command); !strings.Contains(got, " FOUND") {
			t.Errorf("on: %.20q: %q", command, got)
		}
	}
	ts.setMode(1, engine.Off)
	before := ts.cfg.Engines[1].Status().Counters.Scans
	load(want)
	if got := ts.observations(1); got != c || ts.cfg.Engines[1].Status().Counters.Scans != before {
		t.Errorf("the counters are %+v after on and off, were %+v; the engine was asked", got, c)
	}
}

// TestObserveSwitchUnderLoad switches the mode while clients scan. Each reply is that of a
// verdict with or without the engine, and every object scanned with the mode observe is
// counted exactly once.
func TestObserveSwitchUnderLoad(t *testing.T) {
	asked := &counted{Backend: finds("Paranoid")}
	ts := newServer(t, nil, eicarOnly(), testEngine{name: "paranoid", backend: asked})
	var found, clean atomic.Uint64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 60 {
				switch got := ts.ask("zINSTREAM\x00" + stream("clean", 5)); got {
				case "stream: OK\x00":
					clean.Add(1)
				case "stream: Paranoid FOUND\x00":
					found.Add(1)
				default:
					t.Errorf("%q", got)
				}
			}
		})
	}
	switched := make(chan struct{})
	go func() {
		defer close(switched)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				ts.cfg.Engines[1].SetMode(engine.Modes()[i%3])
				runtime.Gosched()
			}
		}
	}()
	wg.Wait()
	close(stop)
	<-switched
	testkit.Eventually(t, "every object is counted", func() bool {
		c := ts.observations(1)
		return c.Same == 0 && found.Load()+c.Differ == asked.n.Load() && c.Differ+c.Skipped <= clean.Load()
	})
}

// counted counts its scans.
type counted struct {
	backends.Backend
	n atomic.Uint64
}

func (c *counted) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	c.n.Add(1)
	return c.Backend.Scan(ctx, o)
}

// hung is an engine that ignores its context until it is thawed.
type hung struct {
	thaw    chan struct{}
	running atomic.Int64
}

func (h *hung) Scan(context.Context, backends.Object) (backends.Result, error) {
	h.running.Add(1)
	defer h.running.Add(-1)
	<-h.thaw
	return backends.Clean(0), nil
}

// TestObserveHung has an observed engine that hangs forever. Replies arrive while it hangs;
// it holds no more objects than it has slots; and Shutdown does not wait for it.
func TestObserveHung(t *testing.T) {
	h := &hung{thaw: make(chan struct{})}
	ts := newServer(t, observing(1), eicarOnly(), testEngine{name: "hung", backend: h})
	thaw := sync.OnceFunc(func() { close(h.thaw) })
	t.Cleanup(thaw)
	const slots = 10 // of testConfig
	for range 5 * slots {
		if got := ts.ask("zINSTREAM\x00" + stream("clean", 5)); got != "stream: OK\x00" {
			t.Errorf("%q", got)
		}
	}
	testkit.Eventually(t, "objects are skipped", func() bool {
		return ts.observations(1).Skipped == 4*slots && h.running.Load() == slots && ts.spool.Stats().Objects == slots
	})
	if n := ts.observers.scans.Load(); n != slots {
		t.Errorf("%d objects held, want %d", n, slots)
	}
	if err := ts.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if h.running.Load() != slots {
		t.Error("Shutdown waited for the engine")
	}
	if c := ts.observations(1); c.Skipped != 5*slots || c.Same+c.Differ != 0 {
		t.Errorf("%+v, want the scans that were called off among those skipped", c)
	}
	thaw()
	testkit.Eventually(t, "the objects are released", func() bool {
		return ts.spool.Stats().Objects == 0 && ts.observers.scans.Load() == 0 && ts.observers.holding.Load() == 0
	})
}

// TestObserveBounds fills the places, and then the spool.
func TestObserveBounds(t *testing.T) {
	ts := newServer(t, observing(1), eicarOnly(), testEngine{name: "x", backend: finds("X")})
	skipped := func(what string, size int, want uint64) {
		t.Helper()
		before := ts.observations(1)
		if got := ts.ask("zINSTREAM\x00" + stream(strings.Repeat("x", size), 1<<16)); got != "stream: OK\x00" {
			t.Errorf("%s: %q", what, got)
		}
		var now engine.ObservedCounters
		testkit.Eventually(t, what, func() bool {
			now = ts.observations(1)
			return now.Skipped+now.Differ == before.Skipped+before.Differ+1
		})
		if now.Skipped-before.Skipped != want {
			t.Errorf("%s: %+v, before %+v", what, now, before)
		}
	}
	skipped("room", 1000, 0)
	ts.observers.scans.Add(maxObserved)
	skipped("no place", 1000, 1)
	ts.observers.scans.Add(-maxObserved)
	const total = 64 << 20 // of newServer
	ts.observers.holding.Add(total / observedPart)
	skipped("too many bytes", 1000, 1)
	ts.observers.holding.Add(-total / observedPart)
	w := ts.spool.Create(t.Context())
	if _, err := w.Write(make([]byte, total/2+1)); err != nil {
		t.Fatal(err)
	}
	skipped("a full spool", 1000, 1)
	w.Abort()
	skipped("room again", 1000, 0)
}

// TestObserveMisbehaving has observed engines that fail in all ways.
func TestObserveMisbehaving(t *testing.T) {
	for name, scan := range map[string]backends.Func{
		"panic": func(context.Context, backends.Object) (backends.Result, error) { panic("boom") },
		"goexit": func(context.Context, backends.Object) (backends.Result, error) {
			runtime.Goexit()
			return backends.Result{}, nil
		},
		"error": func(context.Context, backends.Object) (backends.Result, error) {
			return backends.Result{}, errors.New("no")
		},
		"nothing": func(context.Context, backends.Object) (backends.Result, error) { return backends.Result{}, nil },
		"died": func(context.Context, backends.Object) (backends.Result, error) {
			return backends.Result{}, backends.ErrNoReply
		},
	} {
		t.Run(name, func(t *testing.T) {
			ts := newServer(t, observing(0), testEngine{name: "bad", backend: scan}, eicarOnly())
			if got := ts.ask("zINSTREAM\x00" + stream("clean", 5)); got != "stream: OK\x00" {
				t.Errorf("%q", got)
			}
			testkit.Eventually(t, "it is counted", func() bool { return ts.observations(0) == engine.ObservedCounters{Differ: 1} })
			if log := ts.log.String(); !strings.Contains(log, `"would_be":"swerr","would_act":"tempfail"`) && name != "died" {
				t.Errorf("log %s", log)
			}
		})
	}
}

// TestObserveClientsFile observes files that the client names or hands over, after the
// client has its reply and has removed them.
func TestObserveClientsFile(t *testing.T) {
	begin, read := make(chan struct{}), make(chan string, 2)
	slow := backends.Func(func(_ context.Context, o backends.Object) (backends.Result, error) {
		<-begin
		b, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size()))
		if err != nil {
			return backends.Result{}, err
		}
		read <- string(b)
		return backends.Clean(0), nil
	})
	ts := newServer(t, observing(1), eicarOnly(), testEngine{name: "slow", backend: slow})
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("some bytes"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := ts.ask("zSCAN " + path + "\x00"); got != path+": OK\x00" {
		t.Errorf("SCAN: %q", got)
	}
	if got := ts.fildes(openFile(t, path, unix.O_RDONLY)); got != "OK\x00" {
		t.Errorf("FILDES: %q", got)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	close(begin)
	for range 2 {
		if got := <-read; got != "some bytes" {
			t.Errorf("read %q", got)
		}
	}
	testkit.Eventually(t, "both are counted", func() bool { return ts.observations(1) == engine.ObservedCounters{Same: 2} })
}

// TestObserveProperty compares verdicts on random reports with and without an observed
// engine.
func TestObserveProperty(t *testing.T) {
	engines := func() []testEngine {
		var list []testEngine
		for i := range 4 {
			list = append(list, testEngine{name: fmt.Sprint("e", i), optional: i == 1, backend: random(uint64(i))})
		}
		return list
	}
	extended := func(c *Config) {
		c.Listeners[0].Profile.Form = status.Annotated
		policy := *c.Listeners[0].Policy
		policy.AnswerFirst = false // or the winner depends on who is faster
		c.Listeners[0].Policy = &policy
	}
	for observed := range 4 {
		all := engines()
		with := newServer(t, func(c *Config) { extended(c); observing(observed)(c) }, all...)
		without := newServer(t, extended, append(all[:observed:observed], all[observed+1:]...)...)
		id := regexp.MustCompile(`/id=[a-z0-9]+`)
		for n := range 40 {
			command := "zINSTREAM\x00" + stream(fmt.Sprint("object ", n), 20)
			got, want := id.ReplaceAllString(with.ask(command), ""), id.ReplaceAllString(without.ask(command), "")
			if got != want {
				t.Errorf("object %d, engine %d observed:\n%s\n%s", n, observed, got, want)
			}
		}
	}
}

// random is an engine with random reports, which depend on the object alone.
func random(seed uint64) backends.Backend {
	return backends.Func(func(_ context.Context, o backends.Object) (backends.Result, error) {
		b := make([]byte, o.Size())
		if _, err := o.ReadAt(b, 0); err != nil && err != io.EOF {
			return backends.Result{}, err
		}
		n := uint64(0)
		for _, c := range b {
			n = 31*n + uint64(c)
		}
		r := rand.New(rand.NewPCG(n, seed))
		result := backends.Result{Category: backends.Categories()[r.IntN(9)], Code: int(seed)}
		for range r.IntN(3) {
			result.Findings = append(result.Findings, backends.Finding{Name: fmt.Sprint("Name", r.IntN(5)), Category: backends.Categories()[r.IntN(9)]})
		}
		if r.IntN(4) == 0 {
			return result, errors.New("failed")
		}
		return result, nil
	})
}

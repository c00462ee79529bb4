package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"polyclam/test/child"
	"syscall"
	"time"
)

var hogParts = []part{
	{"hogs/trickle", "Trickling streams of one user take all connections (limits.connections = 200); ten scans of another user.", hogTrickle},
	{"hogs/spool", "Unfinished streams of 60 MB fill the spool (spool_total = \"256MiB\"); a mail of 1 KB and one of 1 MB of another user.", hogSpool},
	{"hogs/vanished", "Scans of clients that have gone (engine: 4 at the same time, 20 ms); then one scan of another user.", hogVanished},
	{"hogs/directory", "SCANs of a directory of 150,000 names, whose clients hang up after some seconds.", hogDirectory},
	{"hogs/sparse", "40 FILDES of a sparse file of 4 TiB (limits.connections = 40), then PING, SIGTERM, SIGTERM.", hogSparse},
	{"hogs/leases", "Descriptors of files that take 45 s to open.", hogLeases},
	{"hogs/folder", "SCAN of a folder of three files with an engine that hangs.", hogFolder},
	{"hogs/log", "polyclamd's output is a pipe that is not read.", hogLog},
}

// hogged starts a polyclamd with one engine.
func (t *trial) hogged(ctx context.Context, e *engine, keys string, s settings) (*daemon, error) {
	socket, err := t.engineHere("engine", e)
	if err != nil {
		return nil, err
	}
	s.engines = []engineConfig{{"clamav", []string{socket}, keys}}
	return t.polyclamdWith(ctx, s)
}

// some makes n concurrent scans and returns them.
func (d *daemon) some(ctx context.Context, n, size int, patience time.Duration) outcomes {
	l := newLoad(ctx, d.unix())
	l.size, l.patience = size, patience
	for range n {
		l.wg.Go(func() { l.one() })
	}
	return l.wait()
}

func hogTrickle(ctx context.Context, t *trial) error {
	d, err := t.hogged(ctx, &engine{latency: 5 * time.Millisecond}, "", settings{limits: "connections = 200\n"})
	if err != nil {
		return err
	}
	c, err := t.crowd(d, crowdSpec{kind: "data", count: 300, every: time.Second})
	if err != nil {
		return err
	}
	if err := c.gather(ctx, 300); err != nil {
		return err
	}
	all := d.some(ctx, 10, defaultSize, t.length(15*time.Second, 4*time.Second))
	t.row("trickling", "%v", *c.counts.Load())
	t.row("scans of another user", "%s; %s", all.breakdown(), quantiles(all.times(anyResult)))
	return nil
}

func hogSpool(ctx context.Context, t *trial) error {
	d, err := t.hogged(ctx, &engine{latency: 5 * time.Millisecond}, "", settings{limits: "spool_total = \"256MiB\"\n"})
	if err != nil {
		return err
	}
	c, err := t.crowd(d, crowdSpec{kind: "large", count: 6, size: 60_000_000, every: time.Second})
	if err != nil {
		return err
	}
	if err := c.gather(ctx, 6); err != nil {
		return err
	}
	pause(ctx, t.length(5*time.Second, 3*time.Second)) // they send
	t.row("XSTATUS", "%s", d.counters(ctx, "spool"))
	for _, size := range []int{1 << 10, 1 << 20} {
		all := d.some(ctx, 1, size, 45*time.Second)
		t.row(fmt.Sprintf("a mail of %d KB", size>>10), "%s after %v", all.breakdown(), round(all.slowest()))
	}
	t.row("unfinished streams", "%v", *c.counts.Load())
	return nil
}

func hogVanished(ctx context.Context, t *trial) error {
	e := &engine{latency: 20 * time.Millisecond, threads: make(chan struct{}, 4)}
	d, err := t.hogged(ctx, e, "max_scans = 4\n", settings{})
	if err != nil {
		return err
	}
	n := t.number(3000, 500)
	before := e.scans.Load()
	c, err := t.crowd(d, crowdSpec{kind: "gone", count: n, size: 200, every: time.Second, once: true})
	if err != nil {
		return err
	}
	for limit := time.Now().Add(hang); c.counts.Load().Cut < int64(n) && time.Now().Before(limit); {
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	all := d.some(ctx, 1, defaultSize, 2*hang)
	t.row("scans whose clients have gone", "%d", c.counts.Load().Cut)
	t.row("a scan of another user then", "%s after %v", all.breakdown(), round(all.slowest()))
	t.row("scanned by then", "%d", e.scans.Load()-before)
	return nil
}

func hogDirectory(ctx context.Context, t *trial) error {
	d, err := t.hogged(ctx, &engine{}, "", settings{})
	if err != nil {
		return err
	}
	names := t.number(150_000, 20_000)
	dir, err := t.folder("many", names)
	if err != nil {
		return err
	}
	t.row("names; SCANs", "%d; 20", names)
	t.row("polyclamd before", "%v", d.usage())
	peaks := d.watch(ctx)
	c, err := t.crowd(d, crowdSpec{kind: "scan", count: 20, every: time.Second, path: dir, once: true})
	if err != nil {
		return err
	}
	if err := pause(ctx, t.length(20*time.Second, 3*time.Second)); err != nil {
		return err
	}
	all := d.some(ctx, 1, defaultSize, 20*time.Second)
	t.row("a scan of another user meanwhile", "%s after %v", all.breakdown(), round(all.slowest()))
	c.leave()
	pause(ctx, 2*time.Second)
	began := child.CPU(d.PID())
	pause(ctx, 3*time.Second)
	t.row("polyclamd at most", "%v", peaks())
	t.row("processor time in 3 s, 2 s after the clients left", "%v", round(child.CPU(d.PID())-began))
	return nil
}

// folder makes a world-readable directory of n names, which are links to a few files.
func (t *trial) folder(name string, n int) (string, error) {
	dir := t.path(name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	var file string
	for i := range n {
		path := filepath.Join(dir, fmt.Sprintf("a-file-with-a-name-of-some-length-%08d", i))
		if i%30_000 != 0 {
			if err := os.Link(file, path); err != nil {
				return "", err
			}
			continue
		}
		file = path
		if err := os.WriteFile(path, []byte("harmless"), 0o644); err != nil {
			return "", err
		}
	}
	return dir, nil
}

func hogSparse(ctx context.Context, t *trial) error {
	d, err := t.hogged(ctx, &engine{}, "", settings{limits: "connections = 40\n"})
	if err != nil {
		return err
	}
	c, err := t.crowd(d, crowdSpec{kind: "sparse", count: 40, every: time.Second, once: true})
	if err != nil {
		return err
	}
	pause(ctx, t.length(5*time.Second, 3*time.Second))
	t.row("clients", "%v", *c.counts.Load())
	reply, took, err := d.ask(ctx, "PING", 10*time.Second)
	t.row("PING", "%q after %v, %v", reply, round(took), err)
	began := child.CPU(d.PID())
	pause(ctx, 2*time.Second)
	t.row("processor time in 2 s", "%v", round(child.CPU(d.PID())-began))
	t.terminate(d)
	return nil
}

// terminate sends SIGTERM, and again if the daemon does not end.
func (t *trial) terminate(d *daemon) {
	began := time.Now()
	for i := range 2 {
		d.Signal(syscall.SIGTERM)
		select {
		case <-d.Done():
			t.row("ended", "%v after the first of %d SIGTERM", round(time.Since(began)), i+1)
			return
		case <-time.After(t.length(35*time.Second, 5*time.Second)):
		}
	}
	t.row("ended", "not by two SIGTERM within %v", round(time.Since(began)))
}

func hogLeases(ctx context.Context, t *trial) error {
	d, err := t.hogged(ctx, &engine{}, "", settings{})
	if err != nil {
		return err
	}
	peaks := d.watch(ctx)
	n := t.number(3000, 300)
	c, err := t.crowd(d, crowdSpec{kind: "leased", count: n, every: time.Second, once: true})
	if err != nil {
		return err
	}
	pause(ctx, t.length(10*time.Second, 4*time.Second))
	t.row("descriptors with a lease", "%d", n)
	t.row("clients", "%v", *c.counts.Load())
	all := d.some(ctx, 5, defaultSize, 10*time.Second)
	t.row("scans of another user", "%s after %v at most", all.breakdown(), round(all.slowest()))
	t.row("polyclamd at most", "%v", peaks())
	t.row("polyclamd", "%s", d.state())
	return nil
}

func hogFolder(ctx context.Context, t *trial) error {
	e := &engine{}
	d, err := t.hogged(ctx, e, "timeout = \"6s\"\n", settings{})
	if err != nil {
		return err
	}
	dir, err := t.folder("three", 3)
	if err != nil {
		return err
	}
	e.mute.Store(true)
	reply, took, err := d.ask(ctx, "CONTSCAN "+dir, hang)
	t.row("CONTSCAN, timeout 6 s", "%v, %v", round(took), err)
	t.note("Its reply:\n\n```\n%s\n```", reply)
	reply, took, err = d.ask(ctx, "SCAN "+dir, hang)
	t.row("SCAN afterwards", "%v, %v", round(took), err)
	t.note("Its reply:\n\n```\n%s\n```", reply)
	return nil
}

func hogLog(ctx context.Context, t *trial) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	defer w.Close()
	socket, err := t.engineHere("engine", &engine{})
	if err != nil {
		return err
	}
	d, err := t.prepare(settings{engines: []engineConfig{{"clamav", []string{socket}, ""}}, limits: "connections = 100\n"})
	if err != nil {
		return err
	}
	d.stderr = w
	if err := d.start(ctx); err != nil {
		return err
	}
	l := newLoad(ctx, d.unix())
	l.patience = t.length(10*time.Second, 3*time.Second)
	within(ctx, l.patience, func(ctx context.Context) { l.rate(ctx, 100) })
	all := l.wait()
	t.row("100 scans a second", "%s; %s", all.breakdown(), quantiles(all.times(answered)))
	t.terminate(d)
	return nil
}

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	"polyclam/test/chaos/history"
	"polyclam/test/child"
)

// world is everything that belongs to one run.
type world struct {
	o      options
	dir    string
	engine string // program
	socket string // of polyclamd
	tcp    string
	spool  string
	tmpfs  bool // the spool's directory is its own file system

	nodes  []*node
	daemon *daemon
	store  *store // nil: none

	requests, faults, events, samples *history.Writer

	ids        atomic.Int64 // of requests
	sessions   atomic.Int64
	generation atomic.Int64
	phase      atomic.Value

	mu    sync.Mutex
	fatal error
}

// spoolSize is the size of the spool's file system.
const spoolSize = 64 << 20

// newWorld makes the directory, the engines and polyclamd, all running.
func newWorld(o options) (w *world, err error) {
	w = &world{o: o, dir: o.dir}
	w.phase.Store("start")
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	w.engine, w.socket, w.spool = filepath.Join(o.dir, "chaosengine"), filepath.Join(o.dir, "p.sock"), filepath.Join(o.dir, "spool")
	port, err := child.Port()
	if err != nil {
		return w, err
	}
	w.tcp = "127.0.0.1:" + port
	for _, dir := range []string{w.spool, filepath.Join(o.dir, "objects")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return w, err
		}
	}
	if os.Geteuid() == 0 {
		w.tmpfs = syscall.Mount("chaos", w.spool, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", spoolSize)) == nil
	}
	for _, f := range []struct {
		w    **history.Writer
		name string
	}{{&w.requests, "requests"}, {&w.faults, "faults"}, {&w.events, "events"}, {&w.samples, "samples"}} {
		if *f.w, err = history.Create(w.file(f.name)); err != nil {
			return w, err
		}
	}
	return w, w.start()
}

func (w *world) start() error {
	if err := build(w.engine, "polyclam/test/chaos/chaosengine"); err != nil {
		return err
	}
	for _, k := range engineKinds {
		for i := range k.nodes {
			n, err := newNode(w.dir, k.engine, k.kind, k.network, i)
			if err != nil {
				return err
			}
			n.died = w.must
			w.nodes = append(w.nodes, n)
			if err := n.start(w.engine); err != nil {
				return err
			}
		}
	}
	if w.o.cached {
		var err error
		if w.store, err = newStore(w.dir, w.must); err != nil {
			return err
		}
	}
	w.daemon = newDaemon(w)
	return w.daemon.start()
}

func (w *world) file(name string) string { return inDir(w.dir, name) }

// inDir is the path of a history file in the directory of its run.
func inDir(dir, name string) string { return filepath.Join(dir, name+".jsonl") }

// node returns the node with this name, which must exist.
func (w *world) node(name string) *node {
	for _, n := range w.nodes {
		if n.name == name {
			return n
		}
	}
	panic("no node " + name)
}

// event writes an event. A failure to write ends the run.
func (w *world) event(kind, text string, n int64) {
	w.must(w.events.Write(history.Event{At: history.Now(), Kind: kind, Text: text, N: n}))
}

// must records an error of the harness itself.
func (w *world) must(err error) {
	if err == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fatal == nil {
		w.fatal = err
	}
}

func (w *world) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fatal
}

// close ends everything that is left and unmounts.
func (w *world) close() {
	if w.daemon != nil {
		w.daemon.end()
	}
	for _, n := range w.nodes {
		n.signal(syscall.SIGCONT)
		n.kill()
	}
	if w.store != nil {
		w.store.kill()
	}
	for _, f := range []*history.Writer{w.requests, w.faults, w.events, w.samples} {
		if f != nil {
			f.Close()
		}
	}
	if w.tmpfs {
		const detach = 2 // MNT_DETACH
		syscall.Unmount(w.spool, detach)
	}
}

// options describe a run.
type options struct {
	dir      string
	binary   string // polyclamd
	seed     uint64
	plan     plan
	clients  int
	cached   bool // it is about the cache: with more results in it, and Redis if that is installed
	sizeless bool // the program has the race detector: its memory usage means nothing
}

// play runs the clients and the faults to their end.
func (w *world) play(ctx context.Context) {
	sampling, stop := context.WithCancel(context.Background())
	var wg, sampler sync.WaitGroup
	sampler.Go(func() { w.sample(sampling) })
	w.idle("before")
	ctx, cancel := context.WithTimeout(ctx, w.o.plan.duration)
	defer cancel()
	w.phase.Store("load")
	for i := range w.o.clients {
		wg.Go(func() { newClient(w, i).run(ctx) })
	}
	wg.Go(func() { w.inject(ctx) })
	wg.Wait()
	w.idle("after")
	stop()
	sampler.Wait()
	w.daemon.stop()
}

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"polyclam/test/chaos/history"
)

// inject carries out the planned faults and returns when all are over.
func (w *world) inject(ctx context.Context) {
	start := time.Now()
	var wg sync.WaitGroup
	defer wg.Wait()
	for i, f := range w.o.plan.faults {
		select {
		case <-ctx.Done():
			return
		case <-time.After(f.at - time.Since(start)):
		}
		if f.kind == "disk full" && !w.tmpfs {
			continue // it needs root
		}
		isStore := strings.HasPrefix(f.kind, "redis")
		if isStore && w.store == nil {
			continue // it is not installed
		}
		wg.Go(func() {
			rec := history.Fault{ID: i, Kind: f.kind, Begin: history.Now(), Detail: map[string]any{}, Target: "polyclamd"}
			if isStore {
				rec.Target = "redis"
			}
			if len(f.targets) > 0 {
				rec.Target = fmt.Sprint(f.targets)
			}
			if f.m.Fault != "" {
				rec.Detail["share"], rec.Detail["spare"], rec.Detail["n"], rec.Detail["delay"] = f.m.Share, f.m.Spare, f.m.N, f.m.Delay
			}
			w.must(w.do(f))
			rec.End = history.Now()
			w.must(w.faults.Write(rec))
		})
	}
}

// do carries out one fault, from beginning to end.
func (w *world) do(f planned) error {
	switch f.kind {
	case "kill", "kill all":
		return w.killNodes(f)
	case "stop", "stop all":
		w.signalNodes(f, syscall.SIGSTOP)
		time.Sleep(f.length)
		w.signalNodes(f, syscall.SIGCONT)
		return nil
	case "learn":
		return w.learn()
	case "learn silently":
		return w.learnSilently()
	case "redis killed", "redis stopped", "redis flushed", "redis forged":
		return w.store.do(f)
	case "reload":
		return w.sendReload()
	case "hangup same":
		return w.daemon.reload(w.config(w.daemon.current()), w.daemon.current())
	case "hangup changed":
		policy := f.m.N % policies
		return w.daemon.reload(w.config(policy), policy)
	case "hangup bad":
		return w.badReload(f)
	case "disk full":
		return w.fillDisk(f.length)
	case "log unread":
		w.daemon.reading.Lock()
		defer w.daemon.reading.Unlock()
		time.Sleep(f.length)
		return nil
	case "polyclamd killed":
		return w.daemon.crash()
	case "polyclamd restarted":
		return w.daemon.restart()
	}
	for _, name := range f.targets {
		if err := w.node(name).set(f.m); err != nil {
			return err
		}
	}
	time.Sleep(f.length)
	for _, name := range f.targets {
		if err := w.node(name).set(mode{}); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) killNodes(f planned) error {
	for _, name := range f.targets {
		w.node(name).kill()
	}
	time.Sleep(f.length)
	for _, name := range f.targets {
		if err := w.node(name).start(w.engine); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) signalNodes(f planned, s syscall.Signal) {
	for _, name := range f.targets {
		w.must(w.node(name).signal(s))
	}
}

// learn gives the nodes new signatures one after the other and sends RELOAD to
// polyclamd.
func (w *world) learn() error {
	return w.learnIn(50*time.Millisecond, w.sendReload)
}

// learnSilently gives the nodes new signatures as they load them without being asked. They
// differ for a second or two.
func (w *world) learnSilently() error {
	return w.learnIn(200*time.Millisecond, func() error { return nil })
}

func (w *world) learnIn(pause time.Duration, reload func() error) error {
	generation := w.generation.Load() + 1
	w.event(history.Learning, "", generation)
	for _, n := range w.nodes {
		if err := n.learn(int(generation)); err != nil {
			return err
		}
		time.Sleep(pause)
	}
	w.generation.Store(generation)
	err := reload()
	w.event(history.Learnt, "", generation)
	return err
}

// sendReload sends RELOAD. It is fine if polyclamd does not answer at the moment.
func (w *world) sendReload() error {
	nc, err := w.dial("unix", 2*time.Second)
	if err != nil {
		return nil
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(2 * time.Second))
	io.WriteString(nc, "zRELOAD\x00")
	io.ReadAll(nc)
	return nil
}

func (w *world) badReload(f planned) error {
	// The file also has another policy, so that any part of it in use would show.
	bad := badFiles[f.m.N%len(badFiles)](w.config(w.daemon.current() ^ policyPass))
	if err := w.daemon.reload(bad, -1); err != nil {
		return err
	}
	time.Sleep(f.length)
	w.daemon.life.Lock()
	defer w.daemon.life.Unlock()
	return w.writeConfig(w.config(w.daemon.current()))
}

// ballastName is the file that fills the disk.
const ballastName = "ballast"

// fillDisk fills the spool's file system.
func (w *world) fillDisk(d time.Duration) error {
	name := filepath.Join(w.spool, ballastName)
	f, err := os.Create(name)
	if err != nil {
		return nil // it is already full
	}
	defer os.Remove(name)
	defer f.Close()
	block := make([]byte, 1<<20)
	for deadline := time.Now().Add(d); time.Now().Before(deadline); time.Sleep(tick) {
		for err == nil {
			_, err = f.Write(block)
		}
		err = nil // other writers may have made room
	}
	return nil
}

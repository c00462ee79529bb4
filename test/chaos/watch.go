package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"polyclam/test/chaos/history"
)

const tick = 20 * time.Millisecond

// eventually waits until ok returns true, for at most d.
func eventually(d time.Duration, ok func() bool) bool {
	for deadline := time.Now().Add(d); ; time.Sleep(tick) {
		if ok() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}

// children are the scanners of this run that are running.
func (d *daemon) children() []int {
	var pids []int
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range all {
		line, err := os.ReadFile(name)
		if err == nil && bytes.HasPrefix(line, []byte(d.w.engine+"\x00scanner\x00")) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// noChildren records scanners that are left.
func (d *daemon) noChildren(when string) {
	if !eventually(3*time.Second, func() bool { return len(d.children()) == 0 }) {
		d.w.event(history.Leftover, fmt.Sprintf("processes %s: %v", when, d.children()), 0)
	}
}

// files are the files in the spool's directory, without the ballast of a full disk, and
// the number of directories.
func (d *daemon) files() (files []string, dirs int) {
	filepath.WalkDir(d.w.spool, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil, path == d.w.spool: // removed in the meantime
		case e.IsDir():
			dirs++
		case e.Name() != ballastName:
			files = append(files, e.Name())
		}
		return nil
	})
	return files, dirs
}

// noFiles records what is left in the spool while nothing is scanned: files, and
// directories beyond those of running daemons.
func (d *daemon) noFiles(when string, daemons int) {
	tidy := func() bool {
		files, dirs := d.files()
		return len(files) == 0 && dirs <= daemons
	}
	if !eventually(8*time.Second, tidy) {
		files, dirs := d.files()
		d.w.event(history.Leftover, fmt.Sprintf("in the spool %s: %d directories, files %.200v", when, dirs, files), int64(len(files)))
	}
}

// idle waits until polyclamd has nothing to do and records what it keeps.
func (w *world) idle(when string) {
	w.phase.Store("idle " + when)
	eventually(answerWithin+readTimeout, func() bool { return len(w.daemon.children()) == 0 })
	w.daemon.noFiles("idle "+when, 1)
	time.Sleep(2 * time.Second) // for a few samples
}

// sample records polyclamd's resource usage twice a second.
func (w *world) sample(ctx context.Context) {
	timer := time.NewTicker(500 * time.Millisecond)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		s := history.Sample{At: history.Now(), Phase: w.phase.Load().(string)}
		dir := fmt.Sprintf("/proc/%d", w.daemon.running().PID())
		status, err := os.ReadFile(dir + "/status")
		if err != nil {
			continue // it is restarting
		}
		for line := range strings.Lines(string(status)) {
			var n int64
			if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &n); err == nil {
				s.RSS = n << 10
			}
			if _, err := fmt.Sscanf(line, "Threads: %d", &n); err == nil {
				s.Threads = int(n)
			}
		}
		fds, err := os.ReadDir(dir + "/fd")
		if err != nil || s.RSS == 0 {
			continue
		}
		s.Descriptors = len(fds)
		w.must(w.samples.Write(s))
	}
}

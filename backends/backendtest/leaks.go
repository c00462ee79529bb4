package backendtest

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// patience is how long a check waits for a condition. Only its own tests change it.
var patience = 5 * time.Second

// NoLeaks fails the test if it ends with more goroutines or open descriptors than it has
// now. Call it first, so that it checks after every other cleanup, and never in a
// parallel test. A group of [Together] is checked as a whole.
func NoLeaks(tb testing.TB) {
	tb.Helper()
	if inGroup(tb.Name()) {
		return
	}
	startPoller()
	goroutines, files := runtime.NumGoroutine(), len(openFiles())
	tb.Cleanup(func() {
		tb.Helper()
		end := time.Now().Add(patience)
		for runtime.NumGoroutine() > goroutines || len(openFiles()) > files {
			if time.Now().After(end) {
				tb.Errorf("leak: %d goroutines were %d; descriptors %q were %d\n%s",
					runtime.NumGoroutine(), goroutines, openFiles(), files, stacks())
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
}

// startPoller makes the runtime open its own descriptors before they are counted.
func startPoller() {
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
}

// openFiles lists the open descriptors of this process, or nil without /proc.
func openFiles() []string {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	var files []string
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		// The directory just read is closed by now; epoll and eventfd belong to the runtime.
		if err != nil || strings.HasPrefix(target, "anon_inode:") {
			continue
		}
		files = append(files, fmt.Sprintf("%s=%s", e.Name(), target))
	}
	return files
}

func stacks() []byte {
	b := make([]byte, 1<<20)
	return b[:runtime.Stack(b, true)]
}

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// lastChildren is how long the end waits for processes that it has killed.
const lastChildren = 500 * time.Millisecond

// adoptOrphans makes us the parent of the processes that our programs start and abandon
// from now on. It is for the end only: before, orphans go to the first process, which
// reaps them without a risk to the exit statuses that the backends wait for.
func adoptOrphans() error {
	return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
}

// endChildren kills and reaps all that is left of our programs and of what they started.
// No backend waits for an exit status any more.
func endChildren() {
	for deadline := time.Now().Add(lastChildren); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		for _, pid := range children() {
			unix.Kill(pid, unix.SIGKILL)
		}
		for {
			pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
			if err == unix.ECHILD {
				return
			}
			if err != unix.EINTR && pid <= 0 {
				break // none has ended
			}
		}
	}
}

// children returns the processes whose parent we are.
func children() []int {
	var found []int
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		return nil
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for _, field := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil {
				found = append(found, pid)
			}
		}
	}
	return found
}

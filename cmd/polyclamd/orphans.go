package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// childGrace is how long the daemon waits for killed processes when it ends.
const childGrace = 500 * time.Millisecond

// becomeSubreaper makes this process the parent of processes that scanner programs start and
// abandon from now on. It is for the shutdown only: until then orphans go to the first
// process, which can reap them without taking exit statuses from the backends.
func becomeSubreaper() error {
	return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
}

// killChildren kills and reaps the remaining scanner programs and their descendants. No
// backend may be waiting for an exit status any more.
func killChildren() {
	for deadline := time.Now().Add(childGrace); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
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

// children returns the ids of this process's children.
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

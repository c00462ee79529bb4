package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// adoptOrphans makes this process the parent of what scanners leave behind when they
// end. It is called when a shutdown begins: before that the first process of the system
// reaps them.
func adoptOrphans() error {
	return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
}

// reapOrphans reaps the children that have ended, and waits until the others, which
// have been killed, have ended too, but not beyond patience. No scanner of ours is
// waited for any more, so that nothing loses its exit status.
func reapOrphans(patience time.Duration) {
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		switch {
		case err == unix.EINTR || pid > 0:
			continue
		case err != nil || time.Now().After(end): // ECHILD: there are none
			return
		}
	}
}

// Package within bounds how long a call into a file system or a name server is waited for.
package within

import "time"

// Limit runs f, but waits no longer than limit. It reports whether f has returned. Otherwise f
// goes on in its goroutine.
func Limit(limit time.Duration, f func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

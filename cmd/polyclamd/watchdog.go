package main

import (
	"os"
	"strconv"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// stateAlive is the report that WatchdogSec= asks for, see sd_notify(3).
const stateAlive = daemon.SdNotifyWatchdog

// A watchdog reports that the daemon is alive, while it is: the main loop starts a test
// that takes every lock of the server, and reports when that has come back. A test that
// hangs is not repeated, and so nothing is reported any more. A daemon that is full,
// or waits for a hung engine or disk, is alive: a restart would only lose scans.
type watchdog struct {
	due    <-chan time.Time // nil: systemd does not ask
	passed chan struct{}
	began  time.Time // of the test under way; zero: none
}

// newWatchdog reports three times as often as systemd asks.
func newWatchdog() *watchdog {
	asked := watchdogTime(os.Getenv)
	if asked <= 0 {
		return &watchdog{}
	}
	return &watchdog{due: time.Tick(asked / 3), passed: make(chan struct{}, 1)}
}

// watchdogTime is how often systemd wants to hear from us; 0: not at all.
func watchdogTime(getenv func(string) string) time.Duration {
	if pid := getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	n, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || n < 3 || n > int64(24*time.Hour/time.Microsecond) {
		return 0
	}
	return time.Duration(n) * time.Microsecond
}

// watch starts the test, or says that it hangs.
func (d *process) watch() {
	w := d.watchdog
	if !w.began.IsZero() {
		d.log.Error().Stringer("for", time.Since(w.began).Round(time.Second)).
			Msg("a lock of the server cannot be had; systemd will restart the daemon")
		return
	}
	w.began = time.Now()
	go func() {
		d.server.Alive()
		w.passed <- struct{}{}
	}()
}

// alive reports a test that has passed.
func (d *process) alive() {
	d.watchdog.began = time.Time{}
	d.notifier.notify(stateAlive)
}

package main

import (
	"os"
	"strconv"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// stateAlive is the state that WatchdogSec= requires, see sd_notify(3).
const stateAlive = daemon.SdNotifyWatchdog

// watchdog reports to systemd that the daemon is alive. The main loop starts a test that
// takes every lock of the server, and reports when the test passes. While a test hangs,
// nothing is reported. A daemon that is overloaded, or waits for a hung engine or disk, is
// alive: a restart would only lose scans.
type watchdog struct {
	due    <-chan time.Time // nil: systemd does not watch this process
	passed chan struct{}
	began  time.Time // start of the running test; zero: none
}

// newWatchdog returns a watchdog that reports three times as often as systemd requires.
func newWatchdog() *watchdog {
	interval := watchdogInterval(os.Getenv)
	if interval <= 0 {
		return &watchdog{}
	}
	return &watchdog{due: time.Tick(interval / 3), passed: make(chan struct{}, 1)}
}

// watchdogInterval returns the longest time that systemd waits for a report; 0: it does not
// watch this process.
func watchdogInterval(getenv func(string) string) time.Duration {
	if pid := getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	n, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || n < 3 || n > int64(24*time.Hour/time.Microsecond) {
		return 0
	}
	return time.Duration(n) * time.Microsecond
}

// checkAlive starts the test, or logs that it hangs.
func (d *process) checkAlive() {
	w := d.watchdog
	if !w.began.IsZero() {
		d.log.Error().Stringer("for", time.Since(w.began).Round(time.Second)).
			Msg("a lock of the server is stuck; systemd will restart the daemon")
		return
	}
	w.began = time.Now()
	go func() {
		d.server.Alive()
		w.passed <- struct{}{}
	}()
}

// reportAlive reports to systemd that the test passed.
func (d *process) reportAlive() {
	d.watchdog.began = time.Time{}
	d.notifier.notify(stateAlive)
}

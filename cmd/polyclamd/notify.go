package main

import (
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// States for systemd, see sd_notify(3).
const (
	stateReady    = daemon.SdNotifyReady
	stateStopping = daemon.SdNotifyStopping
)

// notifySignals returns the signals that the daemon acts on. It also catches SIGPIPE, which
// by default ends a Go program whose stderr is gone, for example after a restart of the
// journal. Ignoring SIGPIPE would not do: scanner programs would inherit that.
func notifySignals() <-chan os.Signal {
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGHUP, unix.SIGTERM, unix.SIGINT)
	return signals
}

func isReload(s os.Signal) bool { return s == unix.SIGHUP }

// beginDraining makes the daemon report that it is not ready, if drain_delay says so and it
// does not yet. false means that it is to stop now. key and value say why, for the log.
func (d *process) beginDraining(key, value string) bool {
	delay := d.file.DrainDelay
	if delay == 0 || d.draining != nil {
		return false
	}
	d.server.SetDraining(true)
	d.draining = time.After(delay)
	d.log.Info().Str(key, value).Stringer("for", delay).Msg("draining before the stop")
	d.notifier.notify(fmt.Sprintf("%s\nEXTEND_TIMEOUT_USEC=%d", stateStopping, (delay + d.file.ShutdownGrace + stopMargin).Microseconds()))
	return true
}

// stopMargin is how long a stop may take beyond drain_delay and shutdown_grace.
const stopMargin = 15 * time.Second

// notifyReloading reports to systemd that a reload begins, and when: Type=notify-reload
// requires the time.
func (d *process) notifyReloading() {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		d.log.Warn().Err(err).Msg("notify")
		return
	}
	d.notifier.notify(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, now.Nano()/1000))
}

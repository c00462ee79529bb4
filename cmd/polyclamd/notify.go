package main

import (
	"fmt"
	"os"
	"os/signal"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// The states that systemd wants to know of, see sd_notify(3).
const (
	stateReady    = daemon.SdNotifyReady
	stateStopping = daemon.SdNotifyStopping
)

// notifySignals returns the signals the daemon acts on. SIGPIPE is taken off its
// default, which would end a Go program whose stderr is gone, such as after a
// restart of the journal. It is not ignored: the programs we run would inherit
// that.
func notifySignals() <-chan os.Signal {
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGHUP, unix.SIGTERM, unix.SIGINT)
	return signals
}

func isReload(s os.Signal) bool { return s == unix.SIGHUP }

// notifyReloading tells systemd that a reload begins, with the time that
// Type=notify-reload wants beside it.
func (d *process) notifyReloading() {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		d.log.Warn().Err(err).Msg("notify")
		return
	}
	d.notifier.notify(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, now.Nano()/1000))
}

package main

import (
	"os"
	"time"

	"github.com/rs/zerolog"

	"polyclam/cmd/internal/config"
)

// startGrace is how long the daemon waits for a start in progress after a signal to stop,
// so that everything that was opened is closed and removed.
const startGrace = 5 * time.Second

// startUnlessStopped runs start on another goroutine: a signal must end the daemon even if a
// file, disk or name server does not answer. In that case it returns no process.
func startUnlessStopped(o options, file *config.File, log zerolog.Logger, logLost func() uint64, signals <-chan os.Signal) (*process, error) {
	d := newProcess(o, file, log)
	d.logLost = logLost
	var err error
	started := make(chan struct{})
	go func() {
		defer close(started)
		err = d.start()
	}()
	reload := false
	for {
		select {
		case <-started:
			if err == nil && reload {
				d.beginReload()
			}
			return d, err
		case s := <-signals:
			if isReload(s) {
				reload = true
				continue
			}
			log.Info().Str("signal", s.String()).Msg("stopping during startup")
			if !waitForStart(started, signals) {
				log.Warn().Str("hint", "a disk, a file in the configuration or a name server does not answer").Msg("startup hangs")
				return nil, nil
			}
			if err == nil {
				d.shutdown(signals)
			}
			return nil, err
		}
	}
}

// waitForStart waits until the start is complete, but no longer than startGrace or the next
// signal to stop. It reports whether the start is complete.
func waitForStart(started <-chan struct{}, signals <-chan os.Signal) bool {
	timeout := time.After(startGrace)
	for {
		select {
		case <-started:
			return true
		case <-timeout:
			return false
		case s := <-signals:
			if !isReload(s) {
				return false
			}
		}
	}
}

package main

import (
	"os"
	"time"

	"github.com/rs/zerolog"

	"polyclam/cmd/internal/config"
)

// lastStart is how long a signal to stop waits for the start to be over, so that
// everything it has opened is closed and removed.
const lastStart = 5 * time.Second

// startUnlessStopped is start, on another goroutine: files, disks and name servers may
// not answer, and a signal must end the daemon all the same. It then returns no process.
func startUnlessStopped(o options, file *config.File, log zerolog.Logger, signals <-chan os.Signal) (*process, error) {
	var d *process
	var err error
	started := make(chan struct{})
	go func() {
		defer close(started)
		d, err = start(o, file, log)
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
			log.Info().Str("signal", s.String()).Msg("stopping during the start")
			if !startEnds(started, signals) {
				log.Warn().Str("hint", "a disk, a file of the configuration or a name server does not answer").Msg("the start hangs")
				return nil, nil
			}
			if err == nil {
				d.shutdown(signals)
			}
			return nil, err
		}
	}
}

// startEnds waits for the end of the start, until lastStart is over or another signal
// to stop comes.
func startEnds(started <-chan struct{}, signals <-chan os.Signal) bool {
	patience := time.After(lastStart)
	for {
		select {
		case <-started:
			return true
		case <-patience:
			return false
		case s := <-signals:
			if !isReload(s) {
				return false
			}
		}
	}
}

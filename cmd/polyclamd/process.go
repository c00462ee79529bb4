package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/rs/zerolog"

	"polyclam/cmd/internal/cli"
	"polyclam/cmd/internal/config"
	"polyclam/proxy"
	"polyclam/proxy/spool"
)

// lastObjects is how long the end waits for engines that were called off to let go of
// their objects: a program that was killed needs a moment, a hung engine needs longer
// than anybody would wait.
const lastObjects = time.Second

// process is the running daemon. Its fields belong to the goroutine that calls wait, the
// main loop, which must not do anything that may hang: it receives the signals and serves
// systemd's watchdog. Other goroutines speak to it through channels only.
type process struct {
	options     options
	log         zerolog.Logger
	descriptors uint64

	file     *config.File
	spool    *spool.Spool
	server   *proxy.Server
	handed   sockets // by systemd, by their bound address; never changed, nor closed by a reload
	sockets  sockets // all that are served, by their address in file
	failed   chan error
	stopping chan struct{} // the SHUTDOWN command
	watchdog *watchdog
	notifier *notifier

	reload      *reload // under way; nil: none
	reloadAgain bool    // after that
	reloads     chan *reload
	slow        <-chan time.Time // the reload takes long
}

// start brings the daemon up: everything that can fail does so before the first
// client is served.
func start(o options, file *config.File, log zerolog.Logger) (*process, error) {
	d := &process{
		options: o, log: log, file: file, watchdog: newWatchdog(), notifier: newNotifier(log),
		failed: make(chan error, 1), stopping: make(chan struct{}, 1), reloads: make(chan *reload),
	}
	d.announceFile()
	var err error
	if d.descriptors, err = raiseDescriptors(); err != nil {
		return nil, fmt.Errorf("limit of descriptors: %w", err)
	}
	if d.handed, err = activated(); err != nil {
		return nil, err
	}
	d.sockets = adopt(file, d.handed)
	if len(file.Listeners) == 0 {
		return nil, errors.New("nothing to listen on: there is no [[listener]] in the configuration and no socket from systemd")
	}
	opened, err := openAll(file, d.sockets)
	if err != nil {
		return nil, err
	}
	if err := d.startServer(); err != nil {
		opened.close()
		return nil, err
	}
	for address, ln := range d.sockets {
		d.serve(address, ln)
	}
	for address, ln := range opened {
		d.sockets[address] = ln
		d.serve(address, ln)
	}
	d.announce()
	d.notifier.notify(stateReady)
	return d, nil
}

// startServer makes the spool, the engines and the server.
func (d *process) startServer() error {
	fit(d.file, d.descriptors, 0).take(d.log)
	var err error
	if d.spool, err = spool.New(d.file.Spool()); err != nil {
		return err
	}
	c, err := d.file.BuildWith(d.spool, d.log)
	if err != nil {
		d.spool.Close()
		return err
	}
	d.server = proxy.NewServer(proxy.ServerOptions{
		Config: c, Spool: d.spool, Log: d.log, Version: cli.Version(), Stop: d.stop,
	})
	return nil
}

// stop asks for the end of the daemon and does not wait for it.
func (d *process) stop() {
	select {
	case d.stopping <- struct{}{}:
	default: // it has been asked already
	}
}

// serve answers the clients of ln on a goroutine of its own.
func (d *process) serve(address string, ln net.Listener) {
	go func() {
		err := d.server.Serve(ln, address)
		if errors.Is(err, proxy.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
			return // by shutdown or a reload
		}
		select {
		case d.failed <- fmt.Errorf("listener %q: %w", address, err):
		default: // one failure is enough
		}
	}()
}

// wait runs the daemon until a signal, a client with the right to do so, or a
// failure ends it.
func (d *process) wait(signals <-chan os.Signal) error {
	for {
		select {
		case r := <-d.reloads:
			d.advance(r)
		case <-d.slow:
			d.warnOfReload()
		case <-d.watchdog.due:
			d.watch()
		case <-d.watchdog.passed:
			d.alive()
		case s := <-signals:
			if isReload(s) {
				d.beginReload()
				continue
			}
			d.log.Info().Str("signal", s.String()).Stringer("grace", d.file.ShutdownGrace).Msg("stopping")
			d.shutdown(signals)
			return nil
		case <-d.stopping:
			d.log.Info().Str("command", "SHUTDOWN").Stringer("grace", d.file.ShutdownGrace).Msg("stopping")
			d.shutdown(signals)
			return nil
		case err := <-d.failed:
			d.shutdown(signals)
			return err
		}
	}
}

// shutdown drains the server, for no longer than the grace; a signal to stop
// ends the grace. The files of our Unix sockets are gone afterwards.
func (d *process) shutdown(signals <-chan os.Signal) {
	d.notifier.notify(stateStopping)
	began := time.Now()
	if d.reload != nil {
		close(d.reload.overtaken)
	}
	if err := adoptOrphans(); err != nil {
		d.log.Warn().Err(err).Msg("what scanners started may be left")
	}
	ctx, cancel := context.WithTimeout(context.Background(), d.file.ShutdownGrace)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- d.server.Shutdown(ctx) }()
	for {
		select {
		case s := <-signals:
			if !isReload(s) {
				cancel()
			}
			continue
		case err := <-done:
			if err != nil {
				d.log.Warn().Err(err).Msg("scans cut off")
			}
		}
		break
	}
	d.sockets.close() // the server has closed those it knew; a reload's may be on their way to it
	if d.reload != nil && !within(lastObjects, d.reload.work.Wait) {
		d.log.Warn().Any("step", d.reload.step.Load()).Str("hint", "a file system or a name server does not answer").Msg("a reload hangs")
	}
	d.spool.Drain(lastObjects)
	endChildren()
	d.closeSpool()
	d.notifier.flush(lastStates)
	d.log.Info().Int64("ms", time.Since(began).Milliseconds()).Msg("stopped")
}

// closeSpool removes what is in the spool's directory, if its disk answers.
func (d *process) closeSpool() {
	closed := within(lastObjects, func() {
		if err := d.spool.Close(); err != nil {
			d.log.Warn().Err(err).Msg("spool")
		}
	})
	if !closed {
		d.log.Warn().Str("hint", "its disk does not answer; the next start removes what is left in it").Msg("spool directory not removed")
	}
}

// within runs f and waits until it returns, for no longer than patience. It reports
// whether f has returned.
func within(patience time.Duration, f func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

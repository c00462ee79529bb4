package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"time"

	"github.com/rs/zerolog"

	"polyclam/cmd/internal/cli"
	"polyclam/cmd/internal/config"
	"polyclam/cmd/internal/sockaddr"
	"polyclam/cmd/internal/within"
	"polyclam/protocol/extended"
	"polyclam/proxy"
	"polyclam/proxy/cache"
	"polyclam/proxy/ops"
	"polyclam/proxy/spool"
)

// objectGrace is how long the shutdown waits for cancelled engines to release their objects.
// A killed program needs a moment; for a hung engine no wait would be long enough.
const objectGrace = time.Second

// cacheGrace is how long the shutdown waits until the last results are in the shared cache.
const cacheGrace = 2 * time.Second

// process is the running daemon. Its fields belong to the main loop, the goroutine that calls
// wait. The main loop must never do anything that can hang: it receives the signals and
// serves systemd's watchdog. Other goroutines communicate with it through channels only.
type process struct {
	options     options
	log         zerolog.Logger
	logLost     func() uint64 // lines of the log that were dropped; may be nil
	descriptors uint64        // limit of open descriptors
	resolver    sockaddr.Resolver

	file      *config.File
	spool     *spool.Spool
	server    *proxy.Server
	cache     *cache.Cache // of the newest configuration; nil: none
	ops       *ops.Server
	inherited sockets // from systemd, by address; a reload never changes or closes them
	sockets   sockets // all sockets that are served, by address
	failed    chan error
	stopping  chan struct{} // the SHUTDOWN command
	watchdog  *watchdog
	notifier  *notifier
	about     extended.About

	reload      *reload // in progress; nil: none
	reloadAgain bool    // after this one
	reloads     chan *reload
	slow        <-chan time.Time // fires if the reload is slow

	asks     chan func()      // of the admin socket; none of them waits
	outcome  *reloadOutcome   // of the reload in progress; nil: no command waits for it
	next     *reloadOutcome   // of the one after it
	settings *config.Settings // those in use, as an operator wrote them
	ending   chan struct{}    // closed when the daemon stops
	draining <-chan time.Time // fires when drain_delay is over; nil: not draining
}

// newProcess returns a daemon that has not started.
func newProcess(o options, file *config.File, log zerolog.Logger) *process {
	return &process{
		options: o, log: log, file: file, resolver: net.DefaultResolver, watchdog: newWatchdog(), notifier: newNotifier(log),
		failed: make(chan error, 1), stopping: make(chan struct{}, 1), reloads: make(chan *reload),
		asks: make(chan func()), ending: make(chan struct{}),
	}
}

// start starts the daemon. Everything that can fail is done before the first client is
// served.
func (d *process) start() error {
	d.logConfiguration()
	var err error
	if d.descriptors, err = raiseDescriptorLimit(); err != nil {
		return fmt.Errorf("raise the limit of open descriptors: %w", err)
	}
	if d.inherited, err = inheritedSockets(); err != nil {
		return err
	}
	s := &setup{options: d.options, log: d.log, descriptors: d.descriptors, inherited: d.inherited, resolver: d.resolver, file: d.file}
	err = s.open()
	d.logWarnings()
	if err != nil {
		s.close()
		return err
	}
	d.startServer(s)
	d.logListeners()
	d.notifier.notify(stateReady)
	return nil
}

// startServer creates the server and serves all sockets.
func (d *process) startServer(s *setup) {
	s.fitted.apply(d.log)
	d.spool, d.settings, d.cache = s.spool, s.settings, s.cache
	d.server = proxy.NewServer(proxy.ServerOptions{
		Config: s.config, Spool: d.spool, Log: d.log, Version: cli.Version(), Stop: d.stop, Records: d.file.RecordBytes(), LogLinesLost: d.logLost,
	})
	d.ops = ops.New(ops.Options{Proxy: d.server, Controls: controls{d, d.asks, d.ending}, Log: d.log, Config: s.ops})
	d.describeUser()
	d.describeConfig(d.file, s.fitted)
	d.sockets = s.kept
	maps.Copy(d.sockets, s.opened)
	for address, ln := range d.sockets {
		d.serve(address, ln)
	}
}

// stop asks the main loop to end the daemon. It does not wait.
func (d *process) stop() {
	select {
	case d.stopping <- struct{}{}:
	default: // already asked
	}
}

// serveClamd serves the clients of ln, and reports a failure to the main loop.
func (d *process) serveClamd(address string, ln net.Listener) {
	err := d.server.Serve(ln, address)
	if errors.Is(err, proxy.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return // by shutdown or a reload
	}
	select {
	case d.failed <- fmt.Errorf("listener %q: %w", address, err):
	default: // a failure is already reported
	}
}

// wait runs the main loop until a signal, a SHUTDOWN command or a failure ends the daemon.
func (d *process) wait(signals <-chan os.Signal) error {
	for {
		select {
		case r := <-d.reloads:
			d.handleReload(r)
		case <-d.slow:
			d.warnSlowReload()
		case <-d.watchdog.due:
			d.checkAlive()
		case <-d.watchdog.passed:
			d.reportAlive()
		case s := <-signals:
			switch {
			case isReload(s):
				d.beginReload()
			case d.beginDraining("signal", s.String()):
			default:
				d.log.Info().Str("signal", s.String()).Stringer("grace", d.file.ShutdownGrace).Msg("stopping")
				d.shutdown(signals)
				return nil
			}
		case <-d.stopping:
			if d.beginDraining("command", "SHUTDOWN") {
				continue
			}
			d.log.Info().Str("command", "SHUTDOWN").Stringer("grace", d.file.ShutdownGrace).Msg("stopping")
			d.shutdown(signals)
			return nil
		case <-d.draining:
			d.log.Info().Stringer("grace", d.file.ShutdownGrace).Msg("stopping")
			d.shutdown(signals)
			return nil
		case do := <-d.asks:
			do()
		case err := <-d.failed:
			d.shutdown(signals)
			return err
		}
	}
}

// shutdown drains the server, but no longer than shutdown_grace; another signal to stop ends
// the wait. It removes the files of the daemon's Unix sockets.
func (d *process) shutdown(signals <-chan os.Signal) {
	d.notifier.notify(stateStopping)
	began := time.Now()
	close(d.ending)
	if d.reload != nil {
		close(d.reload.aborted)
	}
	if err := becomeSubreaper(); err != nil {
		d.log.Warn().Err(err).Msg("processes started by scanners may remain")
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
	services := opsSockets(d.sockets, d.file)
	for address := range services {
		delete(d.sockets, address)
	}
	d.sockets.close() // the server has closed those that it serves; a reload may have opened others
	if d.reload != nil && !within.Limit(objectGrace, d.reload.work.Wait) {
		d.log.Warn().Any("step", d.reload.step.Load()).Str("hint", "a file system or a name server does not answer").Msg("reload hangs")
	}
	d.spool.Drain(objectGrace)
	killChildren()
	within.Limit(cacheGrace, d.cache.Close)
	d.closeSpool()
	within.Limit(objectGrace, d.ops.Close) // last: until now it reports that the daemon stops
	services.close()
	d.notifier.flush(notifyGrace)
	d.log.Info().Int64("ms", time.Since(began).Milliseconds()).Msg("stopped")
}

// closeSpool empties the spool directory, if its disk answers.
func (d *process) closeSpool() {
	closed := within.Limit(objectGrace, func() {
		if err := d.spool.Close(); err != nil {
			d.log.Warn().Err(err).Msg("spool")
		}
	})
	if !closed {
		d.log.Warn().Str("hint", "its disk does not answer; the next start empties it").Msg("spool directory not removed")
	}
}

package main

import (
	"errors"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"polyclam/cmd/internal/config"
	"polyclam/proxy"
	"polyclam/proxy/spool"
)

// slowReload is how long a reload may take before the log names the step that it is in.
const slowReload = 10 * time.Second

// errAborted ends a reload because the daemon is stopping. It is never logged.
var errAborted = errors.New("the daemon is stopping")

// reload is one reload of the configuration. Files, disks and name servers may hang, so
// prepare and finish, which use them, run on a goroutine of the reload. Between them the main
// loop calls commit, which cannot hang. The goroutine and the main loop never use the fields
// at the same time: each passes the reload to the other.
type reload struct {
	options     options
	descriptors uint64
	log         zerolog.Logger
	spool       *spool.Spool
	inherited   sockets
	serving     sockets // all that the daemon served when the reload began

	reloads   chan<- *reload // to the main loop
	aborted   chan struct{}  // closed by the main loop when the daemon ends
	work      sync.WaitGroup
	step      atomic.Value // string: the current step, for the log
	committed bool

	// The results of prepare, or its error.
	err    error
	file   *config.File
	fitted *fitting
	kept   sockets
	opened sockets
	config *proxy.Config
	change *spool.Change

	removed sockets // for finish
}

// prepare does everything that can fail. It changes nothing that the daemon uses.
func (r *reload) prepare() {
	if r.err = r.open(); r.err != nil {
		r.close()
	}
	if !r.handOver() {
		r.close()
	}
}

// handOver passes the reload to the main loop, unless the daemon ends.
func (r *reload) handOver() bool {
	select {
	case r.reloads <- r:
		return true
	case <-r.aborted:
		return false
	}
}

// open opens everything that the configuration names. Sockets come last, because clients can
// connect to them from then on.
func (r *reload) open() error {
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"read the configuration and the files that it names", r.load},
		{"look up the addresses of the listeners", r.adopt},
		{"read the memory limits and the kind of the spool directory", r.fit},
		{"open the engines, with the files that their keys name", r.build},
		{"check the spool directory", r.prepareSpool},
		{"open the listeners", r.listen},
	} {
		if r.isAborted() {
			return errAborted
		}
		r.step.Store(step.name)
		if err := step.do(); err != nil {
			return err
		}
	}
	return nil
}

func (r *reload) isAborted() bool {
	select {
	case <-r.aborted:
		return true
	default:
		return false
	}
}

func (r *reload) load() (err error) {
	r.file, err = r.options.load()
	return err
}

func (r *reload) adopt() error {
	r.kept = adopt(r.file, r.inherited)
	for _, l := range r.file.Listeners {
		if ln, ok := r.serving[l.Address]; ok {
			r.kept[l.Address] = ln
		}
	}
	return nil
}

func (r *reload) fit() error {
	r.fitted = fit(r.file, r.descriptors, r.spool.Stats().Used)
	return nil
}

func (r *reload) build() (err error) {
	r.config, err = r.file.Build(r.spool, r.log)
	return err
}

func (r *reload) prepareSpool() (err error) {
	r.change, err = r.spool.Prepare(r.file.Spool())
	return err
}

func (r *reload) listen() (err error) {
	r.opened, err = openAll(r.file, r.kept)
	return err
}

// close releases everything that open has opened.
func (r *reload) close() {
	r.opened.close()
	if r.config != nil {
		for _, e := range r.config.Engines {
			e.Close()
		}
	}
	if r.change != nil {
		r.change.Release()
	}
	r.opened, r.config, r.change = nil, nil, nil
}

// finish completes a committed reload: it closes the sockets that the configuration no
// longer has, sets the group and mode of the others, and releases the old spool directory.
// Sessions on closed sockets continue.
func (r *reload) finish() {
	r.step.Store("close the listeners that were removed")
	r.removed.close()
	for address := range r.removed {
		r.log.Info().Str("address", address).Msg("listener closed")
	}
	r.step.Store("set the group and mode of the listeners")
	for _, l := range r.file.Listeners {
		if s, ok := r.kept[l.Address].(*unixSocket); ok && !r.isAborted() {
			r.updateSocket(l, s)
		}
	}
	r.step.Store("release the old spool directory")
	r.change.Release()
	r.handOver()
}

func (r *reload) updateSocket(l config.Listener, s *unixSocket) {
	if err := s.setAccess(l.Mode, int(l.Group)); err != nil && !errors.Is(err, net.ErrClosed) {
		r.log.Warn().Err(err).Str("address", l.Address).Msg("mode not changed")
	}
	if !s.atPath() && !r.isAborted() {
		r.log.Warn().Str("address", l.Address).Str("hint", "restart polyclamd to create it again").
			Msg("another program removed or replaced the socket's file")
	}
}

// beginReload begins a reload. If one is already in progress, another follows it: the file
// may have been read already.
func (d *process) beginReload() {
	if d.reload != nil {
		d.reloadAgain = true
		d.log.Info().Any("step", d.reload.step.Load()).Msg("reload in progress, another will follow")
		return
	}
	d.notifyReloading()
	d.reload = &reload{
		options: d.options, descriptors: d.descriptors, log: d.log, spool: d.spool,
		inherited: d.inherited, serving: maps.Clone(d.sockets),
		reloads: d.reloads, aborted: make(chan struct{}),
	}
	d.reload.step.Store("begin")
	d.slow = time.After(slowReload)
	d.reload.work.Go(d.reload.prepare)
}

// handleReload receives a reload from its goroutine: prepared, failed or finished.
func (d *process) handleReload(r *reload) {
	switch {
	case r.err != nil:
		d.describeRefusal(r.err)
		logProblems(d.log, zerolog.ErrorLevel, r.err)
		d.log.Error().Str("file", d.options.config).Msg("reload refused, the old configuration stays in use")
	case !r.committed:
		d.commit(r)
		r.work.Go(r.finish)
		return
	default:
		d.log.Info().Str("file", d.file.Name).Msg("reloaded")
		d.logConfiguration()
		d.logListeners()
	}
	d.reload, d.slow = nil, nil
	d.notifier.notify(stateReady)
	if d.reloadAgain {
		d.reloadAgain = false
		d.beginReload()
	}
}

// commit makes a prepared reload the daemon's configuration. It cannot fail.
func (d *process) commit(r *reload) {
	r.committed = true
	r.change.Apply()
	d.server.Apply(r.config)
	r.fitted.apply(d.log)
	if r.file.Log.Format != d.file.Log.Format {
		d.log.Warn().Str("key", "log.format").Msg("change needs a restart")
	}
	if err := setLevel(r.file.Log, d.options.logLevel); err != nil {
		d.log.Warn().Err(err).Str("key", "log.level").Msg("configuration")
	}
	d.file = r.file
	d.describeConfig(r.file, r.fitted)
	r.removed = sockets{}
	for address, ln := range d.sockets {
		if _, ok := r.kept[address]; !ok && !d.isInherited(ln) {
			r.removed[address] = ln
		}
	}
	d.sockets = maps.Clone(r.kept)
	for address, ln := range r.opened {
		d.sockets[address] = ln
		d.serve(address, ln)
	}
}

// warnSlowReload logs the step that a reload is in.
func (d *process) warnSlowReload() {
	d.slow = nil
	d.log.Warn().Any("step", d.reload.step.Load()).Stringer("for", slowReload).Str("file", d.options.config).
		Str("hint", "a file system or a name server does not answer; scans continue, but no other reload can begin").
		Msg("slow reload")
}

// isInherited reports whether the socket belongs to systemd.
func (d *process) isInherited(ln net.Listener) bool {
	for _, inherited := range d.inherited {
		if inherited == ln {
			return true
		}
	}
	return false
}

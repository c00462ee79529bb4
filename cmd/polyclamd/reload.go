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

// slowReload is how long a reload may take before the log says what it waits for.
const slowReload = 10 * time.Second

// errOvertaken ends a reload because the daemon ends. The log never has it.
var errOvertaken = errors.New("the daemon is stopping")

// A reload reads the configuration again. Files, disks and name servers may not answer,
// so everything that asks them runs on a goroutine of the reload, first prepare and at
// the end settle. What is between them, commit, belongs to the main loop and cannot hang.
// The goroutine and the loop never use the fields together: each hands the reload to the
// other.
type reload struct {
	options     options
	descriptors uint64
	log         zerolog.Logger
	spool       *spool.Spool
	handed      sockets
	serving     sockets // all that were served when the reload began

	reloads   chan<- *reload // to the main loop
	overtaken chan struct{}  // closed by the main loop when the daemon ends
	work      sync.WaitGroup
	step      atomic.Value // string: what it is doing now
	committed bool

	// What prepare has opened, or its error.
	err    error
	file   *config.File
	fitted *fitting
	kept   sockets
	opened sockets
	config *proxy.Config
	change *spool.Change

	removed sockets // for settle
}

// prepare does everything that can fail. Until the main loop takes the result, nothing
// has changed.
func (r *reload) prepare() {
	if r.err = r.open(); r.err != nil {
		r.close()
	}
	if !r.handOver() {
		r.close()
	}
}

// handOver gives the reload to the main loop, unless the daemon ends.
func (r *reload) handOver() bool {
	select {
	case r.reloads <- r:
		return true
	case <-r.overtaken:
		return false
	}
}

// open opens everything that the configuration names. Sockets come last: clients can
// connect to them from then on.
func (r *reload) open() error {
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"read the configuration and the files that it names", r.load},
		{"look up the addresses of the listeners", r.adopt},
		{"find out the memory and the kind of the spool directory", r.fit},
		{"open the engines, with the files that their keys name", r.build},
		{"check the spool directory", r.prepareSpool},
		{"open the listeners", r.listen},
	} {
		if r.isOvertaken() {
			return errOvertaken
		}
		r.step.Store(step.name)
		if err := step.do(); err != nil {
			return err
		}
	}
	return nil
}

func (r *reload) isOvertaken() bool {
	select {
	case <-r.overtaken:
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
	r.kept = adopt(r.file, r.handed)
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
	r.config, err = r.file.BuildWith(r.spool, r.log)
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

// close gives back everything that open has opened.
func (r *reload) close() {
	r.opened.close()
	if r.config != nil {
		for _, u := range r.config.Engines {
			u.Close()
		}
	}
	if r.change != nil {
		r.change.Release()
	}
	r.opened, r.config, r.change = nil, nil, nil
}

// settle finishes a reload that was committed: it closes the sockets that are no longer
// wanted, gives those that stay their group and mode, and gives back the old spool
// directory. The sessions on closed sockets go on.
func (r *reload) settle() {
	r.step.Store("close the listeners that were removed")
	r.removed.close()
	for address := range r.removed {
		r.log.Info().Str("address", address).Msg("listener closed")
	}
	r.step.Store("set the group and mode of the listeners")
	for _, l := range r.file.Listeners {
		if s, ok := r.kept[l.Address].(*unixSocket); ok && !r.isOvertaken() {
			r.settleSocket(l, s)
		}
	}
	r.step.Store("give back the old spool directory")
	r.change.Release()
	r.handOver()
}

func (r *reload) settleSocket(l config.Listener, s *unixSocket) {
	if err := s.permit(l.Mode, int(l.Group)); err != nil && !errors.Is(err, net.ErrClosed) {
		r.log.Warn().Err(err).Str("address", l.Address).Msg("mode not changed")
	}
	if !s.inPlace() && !r.isOvertaken() {
		r.log.Warn().Str("address", l.Address).Str("hint", "restart polyclamd to make it again").
			Msg("another program removed or replaced the socket's file")
	}
}

// beginReload begins a reload. During another one it makes the daemon reload once more
// after that: the file may have been read already.
func (d *process) beginReload() {
	if d.reload != nil {
		d.reloadAgain = true
		d.log.Info().Any("step", d.reload.step.Load()).Msg("a reload is under way, another will follow")
		return
	}
	d.notifyReloading()
	d.reload = &reload{
		options: d.options, descriptors: d.descriptors, log: d.log, spool: d.spool,
		handed: d.handed, serving: maps.Clone(d.sockets),
		reloads: d.reloads, overtaken: make(chan struct{}),
	}
	d.reload.step.Store("begin")
	d.slow = time.After(slowReload)
	d.reload.work.Go(d.reload.prepare)
}

// advance takes a reload from its goroutine: prepared, refused or settled.
func (d *process) advance(r *reload) {
	switch {
	case r.err != nil:
		logProblems(d.log, zerolog.ErrorLevel, r.err)
		d.log.Error().Str("file", d.options.config).Msg("reload refused, the old configuration stays")
	case !r.committed:
		d.commit(r)
		r.work.Go(r.settle)
		return
	default:
		d.log.Info().Str("file", d.file.Name).Msg("reloaded")
		d.announceFile()
		d.announce()
	}
	d.reload, d.slow = nil, nil
	d.notifier.notify(stateReady)
	if d.reloadAgain {
		d.reloadAgain = false
		d.beginReload()
	}
}

// commit makes what a reload has prepared the daemon's configuration. It cannot fail.
func (d *process) commit(r *reload) {
	r.committed = true
	r.change.Apply()
	d.server.Apply(r.config)
	r.fitted.take(d.log)
	if r.file.Log.Format != d.file.Log.Format {
		d.log.Warn().Str("key", "log.format").Msg("change needs a restart")
	}
	if err := setLevel(r.file.Log, d.options.logLevel); err != nil {
		d.log.Warn().Err(err).Str("key", "log.level").Msg("configuration")
	}
	d.file = r.file
	r.removed = sockets{}
	for address, ln := range d.sockets {
		if _, ok := r.kept[address]; !ok && !d.isHanded(ln) {
			r.removed[address] = ln
		}
	}
	d.sockets = maps.Clone(r.kept)
	for address, ln := range r.opened {
		d.sockets[address] = ln
		d.serve(address, ln)
	}
}

// warnOfReload says what a reload waits for.
func (d *process) warnOfReload() {
	d.slow = nil
	d.log.Warn().Any("step", d.reload.step.Load()).Stringer("for", slowReload).Str("file", d.options.config).
		Str("hint", "a file system or a name server does not answer; scans go on, and no other reload can begin until it does").
		Msg("reload takes long")
}

// isHanded reports whether systemd owns the socket.
func (d *process) isHanded(ln net.Listener) bool {
	for _, handed := range d.handed {
		if handed == ln {
			return true
		}
	}
	return false
}

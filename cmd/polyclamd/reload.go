package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"polyclam/cmd/internal/config"
	"polyclam/cmd/internal/listen"
	"polyclam/proxy"
	"polyclam/proxy/cache"
	"polyclam/proxy/ops"
)

// slowReload is how long a reload may take before the log names the step that it is in.
const slowReload = 10 * time.Second

// reload is one reload of the configuration. Files, disks and name servers may hang, so
// prepare and finish, which use them, run on a goroutine of the reload. Between them the main
// loop calls commit, which cannot hang. The goroutine and the main loop never use the fields
// at the same time: each passes the reload to the other.
type reload struct {
	setup
	reloads    chan<- *reload // to the main loop
	server     *proxy.Server
	opsServer  *ops.Server
	work       sync.WaitGroup
	committed  bool
	err        error            // of prepare
	modified   time.Time        // the file, if err is not nil; zero: not known
	removed    sockets          // for finish
	removedOps sockets          // those of removed that package ops serves
	oldCache   *cache.Cache     // for finish; nil: it stays in use
	old        *config.Settings // those in use
	changes    []string         // from old
	warnings   []string         // in addition to those of the file
}

// prepare does everything that can fail. It changes nothing that the daemon uses.
func (r *reload) prepare() {
	if r.err = r.open(); r.err != nil {
		r.close()
		if info, err := os.Stat(r.options.config); err == nil {
			r.modified = info.ModTime()
		}
	} else {
		r.changes = r.old.Changes(r.settings)
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

// finish completes a committed reload: it closes the sockets that the configuration no
// longer has, sets the group and mode of the others, and releases the old spool directory.
// Sessions on closed sockets continue.
func (r *reload) finish() {
	r.step.Store("close the listeners that were removed")
	for address, ln := range r.removedOps {
		r.opsServer.Retire(ln)
		delete(r.removed, address)
		r.log.Info().Str("address", address).Msg("listener closed")
	}
	r.retire()
	for address := range r.removed {
		r.log.Info().Str("address", address).Msg("listener closed")
	}
	r.step.Store("set the group and mode of the listeners")
	for _, l := range slices.Concat(r.file.Listeners, r.file.Services) {
		if s, ok := r.kept[l.Address].(*listen.UnixSocket); ok && !r.isAborted() {
			r.updateSocket(l, s)
		}
	}
	r.step.Store("close the old cache")
	r.oldCache.Close()
	r.step.Store("release the old spool directory")
	r.change.Release()
	r.handOver()
}

// retireGrace is how long clients that have connected to a removed listener may wait until
// they are accepted.
const retireGrace = 2 * time.Second

// retire closes the removed listeners concurrently.
func (r *reload) retire() {
	ctx, cancel := context.WithTimeout(context.Background(), retireGrace)
	defer cancel()
	var closing sync.WaitGroup
	for _, ln := range r.removed {
		closing.Go(func() { r.server.Retire(ctx, ln) })
	}
	closing.Wait()
}

func (r *reload) updateSocket(l config.Listener, s *listen.UnixSocket) {
	if err := s.SetAccess(l.Mode, int(l.Group)); err != nil && !errors.Is(err, net.ErrClosed) {
		r.log.Warn().Err(err).Str("address", l.Address).Msg("mode not changed")
	}
	if !s.AtPath() && !r.isAborted() {
		r.log.Warn().Str("address", l.Address).Str("hint", "restart polyclamd to create it again").
			Msg("another program removed or replaced the socket's file")
	}
}

// beginReload begins a reload. If one is already in progress, another follows it: the file
// may have been read already.
func (d *process) beginReload() {
	if d.draining != nil {
		d.log.Info().Msg("reload ignored, the daemon is about to stop")
		return
	}
	if d.reload != nil {
		d.reloadAgain = true
		d.log.Info().Any("step", d.reload.step.Load()).Msg("reload in progress, another will follow")
		return
	}
	d.notifyReloading()
	d.reload = &reload{reloads: d.reloads, server: d.server, opsServer: d.ops, old: d.settings, setup: setup{
		options: d.options, log: d.log, descriptors: d.descriptors, spool: d.spool,
		inherited: d.inherited, serving: maps.Clone(d.sockets), before: d.file, running: d.cache, resolver: d.resolver,
		aborted: make(chan struct{}),
	}}
	d.reload.step.Store("begin")
	d.slow = time.After(slowReload)
	d.reload.work.Go(d.reload.prepare)
}

// handleReload receives a reload from its goroutine: prepared, failed or finished.
func (d *process) handleReload(r *reload) {
	switch {
	case r.err != nil:
		d.describeRefusal(r.err, r.modified)
		logProblems(d.log, zerolog.ErrorLevel, r.err)
		d.log.Error().Str("file", d.options.config).Msg("reload refused, the old configuration stays in use")
		d.endOutcome(nil, r.err)
	case !r.committed:
		d.commit(r)
		r.work.Go(r.finish)
		return
	default:
		d.log.Info().Str("file", d.file.Name).Strs("changes", firstLines(r.changes)).Msg("reloaded")
		d.logConfiguration()
		d.logWarnings()
		d.logListeners()
		d.endOutcome(r.reloadLines(), nil)
	}
	d.reload, d.slow = nil, nil
	if d.draining == nil {
		d.notifier.notify(stateReady)
	}
	if d.reloadAgain {
		d.reloadAgain = false
		d.beginReload()
	}
	if d.reload == nil { // the daemon is about to stop
		d.endOutcome(nil, errStopping)
	}
}

// maxChanges is how many changes of a reload are in its log line.
const maxChanges = 20

// firstLines returns the first changes, and how many more there are.
func firstLines(changes []string) []string {
	if len(changes) <= maxChanges {
		return changes
	}
	return append(changes[:maxChanges:maxChanges], fmt.Sprintf("%d more", len(changes)-maxChanges))
}

// commit makes a prepared reload the daemon's configuration. It cannot fail.
func (d *process) commit(r *reload) {
	r.committed = true
	r.change.Apply()
	d.server.Apply(r.config)
	r.fitted.apply(d.log)
	if r.cache != d.cache {
		r.oldCache, d.cache = d.cache, r.cache
	}
	if r.file.Log.Format != d.file.Log.Format {
		d.log.Warn().Str("key", "log.format").Msg("change needs a restart")
		r.warnings = append(r.warnings, "log.format: the change needs a restart")
	}
	d.applyLevel(r.file.Log)
	d.ops.Apply(r.setup.ops)
	before := d.file
	d.file, d.settings = r.file, r.settings
	d.describeConfig(r.file, r.fitted)
	r.removed = sockets{}
	for address, ln := range d.sockets {
		if _, ok := r.kept[address]; !ok && !d.isInherited(ln) {
			r.removed[address] = ln
		}
	}
	r.removedOps = opsSockets(r.removed, before)
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

package main

import (
	"net"

	"github.com/rs/zerolog"

	"polyclam/cmd/internal/config"
)

// reload reads the configuration anew. Whatever is wrong with it, the daemon
// goes on as before: everything that can fail comes first.
func (d *process) reload() {
	d.notifyReloading()
	defer d.notify(stateReady)
	file, err := d.options.load()
	if err != nil {
		d.refuse(err)
		return
	}
	kept := adopt(file, d.handed)
	for _, l := range file.Listeners {
		if ln, ok := d.sockets[l.Address]; ok {
			kept[l.Address] = ln
		}
	}
	opened, err := openAll(file, kept)
	if err != nil {
		d.refuse(err)
		return
	}
	if err := d.apply(file); err != nil {
		opened.close()
		d.refuse(err)
		return
	}
	d.exchange(kept, opened)
	d.log.Info().Str("file", file.Name).Msg("reloaded")
	d.announceFile()
	d.announce()
}

// refuse says why a reload did not happen.
func (d *process) refuse(err error) {
	logProblems(d.log, zerolog.ErrorLevel, err)
	d.log.Error().Str("file", d.options.config).Msg("reload refused, the old configuration stays")
}

// apply makes file the server's configuration, or changes nothing.
func (d *process) apply(file *config.File) error {
	fitted := fit(file, d.descriptors, d.spool.Stats().Used)
	c, err := file.BuildWith(d.spool, d.log)
	if err != nil {
		return err
	}
	if err := d.spool.Configure(file.Spool()); err != nil {
		for _, u := range c.Upstreams {
			u.Close()
		}
		return err
	}
	d.server.Apply(c)
	fitted.take(d.log)
	if file.Log.Format != d.file.Log.Format {
		d.log.Warn().Str("key", "log.format").Msg("change needs a restart")
	}
	if err := setLevel(file.Log, d.options.logLevel); err != nil {
		d.log.Warn().Err(err).Str("key", "log.level").Msg("configuration")
	}
	d.file = file
	return nil
}

// exchange serves the sockets that are new and closes those that are no longer
// wanted. The sessions on the latter go on.
func (d *process) exchange(kept, opened sockets) {
	for address, ln := range d.sockets {
		if _, ok := kept[address]; !ok && !d.isHanded(ln) {
			ln.Close()
			d.log.Info().Str("address", address).Msg("listener closed")
		}
	}
	for _, l := range d.file.Listeners {
		s, ok := kept[l.Address].(*unixSocket)
		if !ok {
			continue
		}
		if err := s.permit(l.Mode, l.Group); err != nil {
			d.log.Warn().Err(err).Str("address", l.Address).Msg("mode not changed")
		}
		if !s.inPlace() {
			d.log.Warn().Str("address", l.Address).Str("hint", "restart polyclamd to make it again").
				Msg("another program removed or replaced the socket's file")
		}
	}
	d.sockets = kept
	for address, ln := range opened {
		d.sockets[address] = ln
		d.serve(address, ln)
	}
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

package main

import (
	"github.com/rs/zerolog"

	"polyclam/cmd/internal/config"
)

// announceFile says where the configuration comes from, and what is doubtful
// about it.
func (d *process) announceFile() {
	event := d.log.Info().Str("file", d.file.Name)
	if d.file.Name == config.DefaultName {
		event = event.Str("missing", d.options.config)
	}
	event.Str("version", version()).Msg("configuration")
	logProblems(d.log, zerolog.WarnLevel, d.file.Warnings)
}

// announce says what the daemon listens on and which engines it asks.
func (d *process) announce() {
	for i := range d.file.Listeners {
		l := &d.file.Listeners[i]
		ln := d.sockets[l.Address]
		d.log.Info().Str("address", l.Address).Stringer("bound", ln.Addr()).Bool("systemd", d.isHanded(ln)).
			Str("client", l.Client).Str("status", string(l.Status)).
			Bool("path_commands", l.PathCommands).Bool("reload_command", l.ReloadCommand).
			Bool("shutdown_command", l.ShutdownCommand).Stringer("answer_within", l.AnswerWithin).Msg("listening")
	}
	for i := range d.file.Engines {
		u := &d.file.Engines[i]
		d.log.Info().Str("engine", u.Name).Str("backend", u.Backend).Strs("nodes", u.Addresses).
			Bool("required", u.Required).Stringer("timeout", u.Timeout).Int("max_scans", u.MaxScans).Msg("engine")
	}
}

package main

import (
	"github.com/rs/zerolog"

	"polyclam/cmd/internal/cli"
	"polyclam/cmd/internal/config"
)

// logConfiguration logs the source of the configuration.
func (d *process) logConfiguration() {
	event := d.log.Info().Str("file", d.file.Name)
	if d.file.Name == config.DefaultName {
		event = event.Str("missing", d.options.config)
	}
	if len(d.file.Overridden) > 0 {
		event = event.Strs("environment", d.file.Overridden)
	}
	event.Str("version", cli.Version()).Msg("configuration")
}

// logWarnings logs the warnings about the configuration.
func (d *process) logWarnings() { logProblems(d.log, zerolog.WarnLevel, d.file.Warnings) }

// logListeners logs the listeners and the engines.
func (d *process) logListeners() {
	for _, l := range d.file.Services {
		d.log.Info().Str("address", l.Address).Str("service", string(l.Service)).
			Stringer("bound", d.sockets[l.Address].Addr()).Bool("systemd", d.isInherited(d.sockets[l.Address])).Msg("listening")
	}
	for i := range d.file.Listeners {
		l := &d.file.Listeners[i]
		ln := d.sockets[l.Address]
		event := d.log.Info().Str("address", l.Address)
		if l.IsName() {
			event = event.Str("configured", l.Configured)
		}
		event.Stringer("bound", ln.Addr()).Bool("systemd", d.isInherited(ln)).
			Str("client", l.Client).Str("status", string(l.Status)).
			Bool("path_commands", l.PathCommands).Bool("reload_command", l.ReloadCommand).
			Bool("shutdown_command", l.ShutdownCommand).Stringer("answer_within", l.AnswerWithin).Msg("listening")
	}
	for i := range d.file.Engines {
		e := &d.file.Engines[i]
		d.log.Info().Str("engine", e.Name).Str("backend", e.Backend).Strs("nodes", e.Addresses).
			Bool("required", e.Required).Stringer("timeout", e.Timeout).Int("max_scans", e.MaxScans).Msg("engine")
	}
}

package proxy

import (
	"polyclam/protocol"
	"polyclam/proxy/engine"
	"polyclam/proxy/printable"
)

// answer answers a command outside an IDSESSION, and the quick commands inside one.
func (r *request) answer() {
	if key := r.switchedOff(); key != "" {
		r.unavailable(key)
		return
	}
	switch r.cmd.Verb {
	case protocol.VerbPing:
		r.send("PONG")
	case protocol.VerbVersion:
		r.send(r.version())
	case protocol.VerbVersionCommands:
		r.send(protocol.VersionCommands(r.version()))
	case protocol.VerbStats:
		r.send(r.stats())
	case protocol.VerbXStatus:
		r.send(r.status()...)
	case protocol.VerbReload:
		r.reload()
	case protocol.VerbSelfCheck:
		r.selfCheck()
	case protocol.VerbShutdown, protocol.VerbQuit:
		r.shutdown()
	case protocol.VerbInstream, protocol.VerbXInstream:
		r.beginUpload()
	case protocol.VerbStream:
		r.stream()
	case protocol.VerbFildes, protocol.VerbXFildes:
		r.fildes()
	case protocol.VerbScan, protocol.VerbContScan, protocol.VerbMultiScan, protocol.VerbAllMatchScan,
		protocol.VerbXScan, protocol.VerbXContScan:
		if !r.lst.PathCommands {
			r.unavailable("path_commands")
			return
		}
		scanPath(r)
	case protocol.VerbXTag:
		r.refuseTag()
	case protocol.VerbDetStats, protocol.VerbDetStatsClear:
		// clamd closes the connection without a reply.
		r.logRefusal("clamd no longer has this command")
	default:
		r.unknown()
	}
}

// reload answers RELOAD.
func (r *request) reload() {
	if !r.lst.ReloadCommand {
		r.unavailable("reload_command")
		return
	}
	r.send("RELOADING")
	engines := r.newestEngines()
	r.logReload(engines)
	r.s.srv.reloadEngines(engines)
}

// newestEngines returns the engines of the listener in the newest configuration: those that
// exist are to load their signatures, whatever their mode.
func (r *request) newestEngines() []*engine.Engine {
	cfg := r.s.srv.generations.config()
	if l := cfg.listener(r.lst.Address); l != nil {
		return cfg.enginesOf(l)
	}
	return cfg.enginesOf(r.lst)
}

// selfCheck answers SELFCHECK, which makes a clamd of version 1.6 reload if its signatures
// are out of date. If an engine does not answer, neither of clamd's two replies is right.
func (r *request) selfCheck() {
	if !r.lst.ReloadCommand {
		r.unavailable("reload_command")
		return
	}
	upToDate, err := r.s.srv.selfCheck(r.s.ctx, counting(r.engines))
	switch {
	case !upToDate:
		r.send(protocol.SelfCheckReloading)
	case err != nil:
		r.fields(r.s.srv.log.Warn(), r.s.client()).Str("error", printable.Escape(err.Error(), 2*maxLoggedName)).Msg("self check")
		r.sendError("Not all engines answered the self check. ERROR")
	default:
		r.send(protocol.SelfCheckUpToDate)
	}
}

// shutdown answers SHUTDOWN.
func (r *request) shutdown() {
	if !r.lst.ShutdownCommand {
		r.unavailable("shutdown_command")
		return
	}
	r.fields(r.s.srv.log.Info(), r.s.client()).Msg("shutdown command")
	r.s.srv.stop()
}

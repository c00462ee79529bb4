package proxy

import (
	"context"
	"strings"
	"time"

	"polyclam/proxy/engine"
	"polyclam/proxy/printable"
)

// fallbackVersion is the version if no clamd among the engines answers. Clients insist on
// "ClamAV" followed by a number; this is the clamd whose protocol polyclam implements.
const fallbackVersion = "ClamAV 1.4.6"

// versionWait limits how long VERSION waits for an engine.
const versionWait = 2 * time.Second

// clamVersion returns the version of the first engine that is ClamAV, verbatim.
func (s *Server) clamVersion(engines []*engine.Engine) string {
	ctx, cancel := context.WithTimeout(s.ctx, versionWait)
	defer cancel()
	for _, e := range engines {
		if v, ok := e.Version(ctx); ok && strings.HasPrefix(v.Text, "ClamAV ") {
			return printable.Escape(v.Text, maxLoggedName)
		}
	}
	return fallbackVersion
}

// version returns the version for this client. A listener that refuses VERSION still lists
// the commands, because clients look there for those that polyclamd adds.
func (r *request) version() string {
	if r.lst.NoVersionCommand {
		return fallbackVersion
	}
	return r.s.srv.clamVersion(counting(r.engines))
}

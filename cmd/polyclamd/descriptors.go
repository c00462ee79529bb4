package main

import (
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"polyclam/cmd/internal/config"
	"polyclam/proxy"
)

// ownDescriptors is what the daemon needs beside connections and scans: log,
// listeners, epoll, health checks, and room to move.
const ownDescriptors = 64

// raiseDescriptors raises the limit of descriptors to what we are allowed and
// returns it.
func raiseDescriptors() (uint64, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	if limit.Cur == limit.Max {
		return limit.Cur, nil
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	return limit.Cur, nil
}

// fitConnections lowers the limit of connections to what the descriptors are
// enough for, as clamd lowers MaxQueue: the clients beyond it then wait in the
// backlog, instead of being accepted and failing. A connection takes one
// descriptor, its content a second, each scan of an upstream's node one more
// and a copy of the content's.
func fitConnections(c *proxy.Config, file *config.File, limit uint64, log zerolog.Logger) {
	own := uint64(ownDescriptors + len(c.Listeners))
	for _, u := range file.Upstreams {
		own += 2 * uint64(u.MaxScans) * uint64(max(1, len(u.Addresses)))
	}
	want := uint64(c.Limits.Connections)
	if limit >= own+2*want {
		return
	}
	fit := uint64(len(c.Listeners) + 1)
	if limit > own+2*fit {
		fit = (limit - own) / 2
	}
	c.Limits.Connections = int(fit)
	log.Warn().Uint64("descriptors", limit).Uint64("needed", own+2*want).Uint64("connections", fit).
		Str("hint", "raise the hard limit (LimitNOFILE= of systemd) or lower limits.connections").Msg("connections lowered")
}

package proxy

import (
	"errors"
	"io/fs"
	"sync/atomic"

	"github.com/rs/zerolog"

	"polyclam/protocol/extended"
	"polyclam/proxy/engine"
	"polyclam/proxy/files"
	"polyclam/proxy/spool"
)

// A lapse is a kind of reason why no engine received an object.
type lapse int

const (
	lapseGone   lapse = iota // the client has gone or is too slow, or the daemon stops
	lapseLimit               // the object is larger than limits.stream
	lapseSpool               // the spool has no room for it, or its disk failed
	lapseDenied              // polyclamd's user may not read it
	lapsePath                // there is no such file, or it is not one that can be scanned
	lapseHung                // its file system did not answer, or time ran out first
	lapseRate                // the client has begun more scans than scans_per_second
	lapseOther               // the client did not hand it over as the protocol says
	lapses
)

// A tally counts, since the start, what no engine received. Reloads do not reset it.
type tally struct {
	notScanned  [lapses]atomic.Int64
	commands    atomic.Int64 // refused
	connections atomic.Int64 // refused
	notAllowed  atomic.Int64 // connections refused because of the key allow
	handshakes  atomic.Int64 // failed
}

// refusals returns the counters for XSTATUS.
func (t *tally) refusals() extended.Refusals {
	return extended.Refusals{
		CommandsRefused:    t.commands.Load(),
		ConnectionsRefused: t.connections.Load(),
		NotAllowed:         t.notAllowed.Load(),
		HandshakesFailed:   t.handshakes.Load(),
		NotScannedGone:     t.notScanned[lapseGone].Load(),
		NotScannedLimit:    t.notScanned[lapseLimit].Load(),
		NotScannedSpool:    t.notScanned[lapseSpool].Load(),
		NotScannedDenied:   t.notScanned[lapseDenied].Load(),
		NotScannedPath:     t.notScanned[lapsePath].Load(),
		NotScannedHung:     t.notScanned[lapseHung].Load(),
		NotScannedRate:     t.notScanned[lapseRate].Load(),
		NotScannedOther:    t.notScanned[lapseOther].Load(),
	}
}

// level is the level of the log line. A client may disconnect whenever it likes; in all other
// cases the client gets an error, or an object passes that was not scanned.
func (l lapse) level(err error) zerolog.Level {
	switch {
	case l == lapseGone:
		return zerolog.InfoLevel
	case errors.Is(err, spool.ErrStorage):
		return zerolog.ErrorLevel
	}
	return zerolog.WarnLevel
}

// lapseOf returns why a file that a client named or handed over was not scanned.
func lapseOf(err error) lapse {
	var stuck *files.StuckError
	var calledOff engine.CalledOff
	switch {
	case errors.As(err, &calledOff):
		return lapseGone
	case errors.As(err, &stuck):
		return lapseHung
	case errors.Is(err, spool.ErrQuota), errors.Is(err, spool.ErrStorage):
		return lapseSpool
	case errors.Is(err, fs.ErrPermission):
		return lapseDenied
	}
	return lapsePath
}

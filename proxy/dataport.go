package proxy

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"polyclam/protocol"
	"polyclam/protocol/dataport"
	"polyclam/proxy/spool"
)

// maxRefused bounds the log lines about foreign connections to one data port.
const maxRefused = 8

// stream answers STREAM, which clamd has removed: the object arrives on a second
// connection, see package dataport. Both connections count in limits.connections.
func (r *request) stream() {
	if !r.lst.StreamCommand {
		r.logRefusal("switched off for this listener (key stream_command)")
		r.sendError("UNKNOWN COMMAND") // clamd 1.4.6
		return
	}
	if _, ok := r.s.nc.(secureConn); ok || r.s.peer.via != nil {
		// The object would arrive unencrypted, and from another address.
		r.logRefusal("not possible over TLS or a PROXY header")
		r.sendError("UNKNOWN COMMAND")
		return
	}
	if err := r.takeTicket(); err != nil {
		r.overRate("stream", err)
		return
	}
	if !r.s.srv.takeSecondPlace(r.s) {
		r.notScanned(lapseOther, "stream", "connections", nil)
		r.fail(r.lst.Profile.Error("stream", "Too many connections"))
		return
	}
	defer r.s.srv.giveSecondPlace(r.s)
	port, err := dataport.Open(r.s.nc, r.lst.StreamPorts, r.logRefused())
	if err != nil {
		r.lost(err)
		return
	}
	defer port.Close()
	stream, err := r.awaitData(port)
	if err != nil {
		r.lost(err)
		return
	}
	w := r.s.srv.spool.Create(r.s.ctx)
	if object := r.keep(stream, w); object != nil { // the port watches the client
		r.scanData(port, object)
	}
}

// logRefused returns a function that logs a refused connection.
func (r *request) logRefused() func(net.Addr) {
	var n atomic.Int64
	return func(peer net.Addr) {
		if n.Add(1) <= maxRefused {
			r.about(r.s.srv.log.Warn(), "stream").Stringer("peer", peer).Msg("data port refused")
		}
	}
}

// awaitData sends the port to the client and waits for the data connection. Meanwhile
// the session is as idle as one that waits for a command.
func (r *request) awaitData(port *dataport.Port) (*protocol.Stream, error) {
	if err := r.send(fmt.Sprintf("PORT %d", port.Number())); err != nil {
		return nil, err
	}
	if r.s.conn.Buffered() > 0 {
		return nil, dataport.ErrStrayInput
	}
	if !r.s.srv.idle(r.s, r.cfg.Limits.CommandReadTimeout) {
		return nil, ErrServerClosed
	}
	stream, err := port.Accept(r.cfg.Limits.Stream, r.cfg.Limits.ReadTimeout)
	r.s.srv.busy(r.s)
	r.s.conn.SetReadDeadline(time.Time{}) // the stream has its own
	return stream, err
}

// scanData scans the object that arrived at a data port, and releases it. The port stays
// open during the scan: the longer it is open, the likelier a client notices that another
// took its place.
func (r *request) scanData(port *dataport.Port, object *spool.Object) {
	defer object.Release()
	ctx, cancel := r.deadline()
	defer cancel()
	v, elapsed := r.judge(ctx, "stream", object)
	if err := port.Close(); err != nil {
		r.lost(err)
		return
	}
	r.reply(r.line("stream", v))
	r.halfClose()
	r.scanned("stream", object, v, elapsed)
}

// lost answers a stream that did not arrive or cannot be trusted, in clamd 0.103's words
// (scanner.c) where it had any. If the client has gone there is no answer.
func (r *request) lost(err error) {
	profile := r.lst.Profile
	switch {
	case errors.Is(err, dataport.ErrNoPort):
		r.notScanned(lapseOther, "stream", "no data port", err)
		r.fail(profile.ProtocolError("Can't find any free port. ERROR"))
	case errors.Is(err, dataport.ErrAccept):
		r.notScanned(lapseOther, "stream", "data port", err)
		r.fail(profile.ProtocolError("accept() ERROR"))
	case errors.Is(err, dataport.ErrSecondConnection):
		r.notScanned(lapseOther, "stream", "second data connection", nil)
		r.fail(profile.Error("stream", "Second data connection"))
	case errors.Is(err, dataport.ErrLost):
		r.notScanned(lapseOther, "stream", "data connection lost", err)
		r.fail(profile.Error("stream", "Data connection lost"))
	case errors.Is(err, dataport.ErrStrayInput):
		r.notScanned(lapseOther, "stream", "bytes after the command", nil)
		r.fail(profile.ProtocolError("Error processing command. ERROR"))
	case errors.Is(err, dataport.ErrNoConnection) && !r.s.srv.isClosing():
		r.notScanned(lapseOther, "stream", "no data connection", nil)
		r.fail(profile.ProtocolError("Accept timeout. ERROR"))
	case errors.Is(err, dataport.ErrNoConnection), errors.Is(err, ErrServerClosed):
		r.notScanned(lapseGone, "stream", "shutdown", nil)
	default:
		r.notScanned(lapseGone, "stream", "client gone", err)
	}
}

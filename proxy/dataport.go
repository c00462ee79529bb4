package proxy

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"polyclam/protocol"
	"polyclam/proxy/spool"
)

// maxRefused bounds the log lines about others who connect to one data port.
const maxRefused = 8

// stream answers clamd's old STREAM: the content comes over a connection of its own,
// see [protocol.DataPort]. With its port and that connection the client takes the room
// of two in limits.connections.
func (r *request) stream() {
	if !r.lst.StreamCommand {
		r.sendError("UNKNOWN COMMAND") // as clamd 1.4.6 says
		return
	}
	if !r.s.srv.takeSecondPlace(r.s) {
		r.notScanned("stream", "connections", nil)
		r.fail(r.lst.Profile.Error("stream", "Too many connections"))
		return
	}
	defer r.s.srv.giveSecondPlace(r.s)
	port, err := r.s.conn.OpenDataPort(r.lst.StreamPorts, r.refused())
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
	if object := r.keep(stream, w, w); object != nil { // the port watches the client
		r.scanData(port, object)
	}
}

// refused logs who is not let in at a data port.
func (r *request) refused() func(net.Addr) {
	var n atomic.Int64
	return func(peer net.Addr) {
		if n.Add(1) <= maxRefused {
			r.about(r.s.srv.log.Warn(), "stream").Stringer("peer", peer).Msg("data port refused")
		}
	}
}

// awaitData tells the client the port and waits for it there, as idle as a client
// that has not sent its command yet.
func (r *request) awaitData(port *protocol.DataPort) (*protocol.Stream, error) {
	if err := r.send(fmt.Sprintf("PORT %d", port.Port())); err != nil {
		return nil, err
	}
	if !r.s.srv.idle(r.s, r.cfg.Limits.CommandReadTimeout) {
		return nil, ErrServerClosed
	}
	stream, err := port.Accept(r.cfg.Limits.Stream, r.cfg.Limits.ReadTimeout)
	r.s.srv.busy(r.s)
	r.s.conn.SetReadDeadline(time.Time{}) // the stream has its own
	return stream, err
}

// scanData scans what came in at a data port, and releases it. The port stays open
// meanwhile: the longer, the surer a client finds out that another took its place.
func (r *request) scanData(port *protocol.DataPort, object *spool.Object) {
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

// lost says that there is no content, or none to be trusted. In clamd's words where
// its old STREAM had some (clamd 0.103, scanner.c). Nobody is there to hear that the
// client is gone.
func (r *request) lost(err error) {
	profile := r.lst.Profile
	switch {
	case errors.Is(err, protocol.ErrNoDataPort):
		r.notScanned("stream", "no data port", err)
		r.fail(profile.ProtocolError("Can't find any free port. ERROR"))
	case errors.Is(err, protocol.ErrDataAccept):
		r.notScanned("stream", "data port", err)
		r.fail(profile.ProtocolError("accept() ERROR"))
	case errors.Is(err, protocol.ErrSecondConnection):
		r.notScanned("stream", "second data connection", nil)
		r.fail(profile.Error("stream", "Second data connection"))
	case errors.Is(err, protocol.ErrDataLost):
		r.notScanned("stream", "data connection lost", err)
		r.fail(profile.Error("stream", "Data connection lost"))
	case errors.Is(err, protocol.ErrBehindStream):
		r.notScanned("stream", "bytes behind the command", nil)
		r.fail(profile.ProtocolError("Error processing command. ERROR"))
	case errors.Is(err, protocol.ErrNoDataConnection) && !r.s.srv.isClosing():
		r.notScanned("stream", "no data connection", nil)
		r.fail(profile.ProtocolError("Accept timeout. ERROR"))
	case errors.Is(err, protocol.ErrNoDataConnection), errors.Is(err, ErrServerClosed):
		r.notScanned("stream", "shutdown", nil)
	default:
		r.notScanned("stream", "client gone", err)
	}
}

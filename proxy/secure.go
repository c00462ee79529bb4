package proxy

import (
	"crypto/tls"
	"net"
	"sync/atomic"
	"time"
)

// firstBytes is how much of what a client has sent is kept to explain a failed handshake.
const firstBytes = 16

// ownWriteTime limits the writes that TLS makes while it reads, such as the answer to a key
// update. A client that does not read could otherwise block the reading of its commands.
const ownWriteTime = 10 * time.Second

// A wire is the connection below TLS.
type wire struct {
	*net.TCPConn
	deadline atomic.Int64 // of writes, in Unix nanoseconds; 0: none was set

	// Only the handshake changes these; it runs in one goroutine.
	begin [firstBytes]byte
	n     int             // bytes of begin
	end   [alertSize]byte // the last bytes
	done  bool
}

// alertSize is the size of a record with an alert that is not encrypted.
const alertSize = 7

// alert returns what the client's last record says, if it is an alert that is not encrypted.
// OpenSSL sends such a one when it refuses a certificate in TLS 1.3, and then crypto/tls only
// reports that the record cannot be decrypted.
func (w *wire) alert() (tls.AlertError, bool) {
	const record, fatal = "\x15\x03\x03\x00\x02", 2
	return tls.AlertError(w.end[6]), string(w.end[:5]) == record && w.end[5] == fatal
}

// Read implements net.Conn.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.TCPConn.Read(p)
	if !w.done && n > 0 {
		w.n += copy(w.begin[w.n:], p[:n])
		last := p[max(0, n-alertSize):n]
		copy(w.end[:], w.end[len(last):])
		copy(w.end[alertSize-len(last):], last)
	}
	return n, err
}

// SetDeadline implements net.Conn.
func (w *wire) SetDeadline(t time.Time) error {
	w.note(t)
	return w.TCPConn.SetDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (w *wire) SetWriteDeadline(t time.Time) error {
	w.note(t)
	return w.TCPConn.SetWriteDeadline(t)
}

func (w *wire) note(t time.Time) {
	if t.IsZero() {
		w.deadline.Store(0)
		return
	}
	w.deadline.Store(t.UnixNano())
}

// Write implements net.Conn. A write without a deadline, or after that of an earlier reply,
// gets one. During the handshake that of the handshake holds.
func (w *wire) Write(p []byte) (int, error) {
	if now := time.Now(); w.done && w.deadline.Load() <= now.UnixNano() {
		w.TCPConn.SetWriteDeadline(now.Add(ownWriteTime))
	}
	return w.TCPConn.Write(p)
}

// A secureConn is a connection with TLS whose handshake is complete.
type secureConn struct{ *tls.Conn }

// Close closes the connection without the alert close_notify, for which a client that does
// not read would make it wait. CloseWrite has sent the alert after a reply.
func (c secureConn) Close() error { return c.NetConn().Close() }

// CloseWrite says that nothing follows, to TLS and to TCP. The client may still send.
func (c secureConn) CloseWrite() error {
	err := c.Conn.CloseWrite()
	if w, ok := c.NetConn().(*wire); ok && err == nil {
		err = w.TCPConn.CloseWrite()
	}
	return err
}

// socketOf returns the connection at the bottom of nc, which is a socket unless a test uses
// another one.
func socketOf(nc net.Conn) net.Conn {
	if c, ok := nc.(secureConn); ok {
		return c.NetConn()
	}
	return nc
}

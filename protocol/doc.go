// Package protocol speaks clamd's wire protocol, the server end and the client
// end of it. It knows the shape of the dialogue and no meaning: it logs nothing,
// decides nothing and imports the standard library only.
//
// # The protocol
//
// A client connects over a Unix or TCP stream socket, sends one command, reads
// one reply, and the server closes. A command comes in one of three framings:
//
//	zCOMMAND<NUL>   ended by NUL; newlines are data
//	nCOMMAND<LF>    ended by a newline, carriage returns before it are dropped
//	COMMAND         ended by the packet: what one read returned, or its first line
//
// A reply to a z command ends in NUL, to every other in LF. Status lines are
//
//	<object>: OK
//	<object>: <signature> FOUND
//	<object>: <reason> ERROR
//
// where the object is "stream", "fd[N]" or the path as it was asked for. A path may
// hold any byte but NUL. Where a line break ends the reply polyclam writes it by
// [EscapeObject]; clamd does not, and a file called "a: OK\nb" forges a line there.
//
// INSTREAM is followed by chunks: a length of four bytes, big-endian, and so many
// bytes of data; the length zero ends the stream. FILDES is followed by one byte
// of any value that carries a descriptor (SCM_RIGHTS). IDSESSION opens a session:
// commands are numbered from one, replies carry "N: " in front and come in any
// order, END or the client's half-close ends it.
//
// STREAM, which clamd dropped, is what was before INSTREAM: the content comes over
// a second connection, see [DataPort].
//
// polyclam adds verbs that a clamd answers with UNKNOWN COMMAND: XINSTREAM,
// XSCAN, XCONTSCAN and XFILDES reply with the plain status line, an ENGINE
// [Record] for each engine, a SUMMARY record and END; XSTATUS describes the
// server itself. The names of objects in these replies are escaped in every framing.
//
// Facts here come from clamd 1.4.6 as Debian ships it, tried, and from its source.
//
// # Server end
//
// [NewConn] wraps an accepted connection. [Conn.ReadCommand] returns one command
// at a time; after INSTREAM read the content with [Conn.Stream], after FILDES take
// the descriptor with [Conn.Descriptor], after STREAM open a port with
// [Conn.OpenDataPort]; write replies with [Conn.WriteReply]. At the end
// [Conn.CloseWrite], [Conn.Discard] and [Conn.Close], in this order: closing with
// input unread resets the connection, and the reply may be lost.
//
// # Client end
//
// [Client] asks a server one thing per connection, [ClientSession] many things on
// one connection.
package protocol

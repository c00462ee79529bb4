// Package protocol implements clamd's wire protocol, client and server. It depends on the
// standard library only, logs nothing and has no policy.
//
// To scan a stream:
//
//	c := protocol.Client{Network: "unix", Address: "/run/clamav/clamd.ctl"}
//	reply, err := c.Instream(ctx, r)
//	switch {
//	case err != nil:
//		fmt.Println("not scanned:", err)
//	case reply.Found():
//		fmt.Println("found", reply.Text)
//	default:
//		fmt.Println("clean")
//	}
//
// The package example also contains a server.
//
// # The protocol
//
// A client connects over a Unix or TCP socket, sends one command and reads one reply.
// Then the server closes the connection. A command has one of three framings:
//
//	zCOMMAND<NUL>   ends at the NUL; newlines are data
//	nCOMMAND<LF>    ends at the newline; carriage returns before it are dropped
//	COMMAND         ends with the packet (what one read returns), or with its first line
//
// It has at most 4104 bytes, including prefix and terminator. The reply to a z command
// ends in NUL, every other reply in LF. Status lines are
//
//	<object>: OK
//	<object>: <signature> FOUND
//	<object>: <reason> ERROR
//
// where the object is "stream", "fd[N]", or the path as it was sent. Replies that are not
// about an object have no such prefix, for example PONG or UNKNOWN COMMAND. The verbs are:
//
//	PING, VERSION, VERSIONCOMMANDS, STATS      answered with information
//	RELOAD, SELFCHECK, SHUTDOWN                control the server
//	INSTREAM, FILDES                           scan what is sent with the command
//	SCAN, CONTSCAN, MULTISCAN, ALLMATCHSCAN    scan a path on the server
//	IDSESSION, END                             begin and end a session
//
// INSTREAM is followed by chunks, each a length (four bytes, big-endian) and that many
// bytes of data. The length zero ends the stream.
//
// FILDES is followed by one byte, of any value, that carries a descriptor (SCM_RIGHTS).
//
// SCAN stops at the first finding. The other three send a line for each: CONTSCAN scans
// everything, MULTISCAN does so with several threads, and ALLMATCHSCAN reports all
// matches in a file. For a clean directory the reply is one line. A path may contain any
// byte but NUL, so a file called "a: OK\nb" forges a line where newlines end the reply.
// clamd allows that. polyclam writes such names with [EscapeObject].
//
// IDSESSION begins a session of many commands on one connection. They are numbered from
// one. Replies begin with the number, as in "3: stream: OK", and come in any order. END
// or the client's half-close ends the session.
//
// STREAM, which clamd no longer supports, opens a second port for the data: see package
// protocol/dataport.
//
// polyclam adds XINSTREAM, XSCAN, XCONTSCAN and XFILDES, whose replies contain a record
// for each engine, and XSTATUS, which reports the state of the server: see package
// protocol/extended. Object names in these replies are always escaped. clamd does not know
// these verbs and answers UNKNOWN COMMAND.
//
// XTAG, also polyclam's, hands over the client's own id for the next command, or for all
// later ones of an IDSESSION. It has no reply and no number. See [WithTag].
//
// All of this was observed with clamd 1.4.6 from Debian and checked against its source.
//
// # Client
//
// [Client] opens a new connection for each request, [ClientSession] uses one connection
// for many. Their files are named client_*.go.
//
// # Server
//
// [NewConn] wraps an accepted connection. [Conn.ReadCommand] returns the next command.
// After INSTREAM read the data with [Conn.Stream], after FILDES take the descriptor with
// [Conn.Descriptor]. Reply with [Conn.WriteReply]. To finish, call [Conn.CloseWrite],
// [Conn.Discard] and [Conn.Close], in this order: closing with unread input resets the
// connection, and the client may lose the reply. The files are named server_*.go.
package protocol

// Package engineconn holds conversations with engines over connections. It dials, with
// or without TLS, keeps connections, sends an object completely or not at all, reads
// answers of limited length, and turns lost connections and ended contexts into errors.
//
// The package of each engine parses the answers. A dialogue is a function on a [Conn].
// [Client.Scan] runs it on a kept connection or a new one and enforces the rules that
// hold for every engine:
//
//   - A connection serves one dialogue at a time. It is kept only if Client.Keep is
//     set, the dialogue ended without an error, and no input is left.
//   - Before a request is complete, the connection must be silent. [Conn.Send] holds
//     back the last bytes, checks for unread input, and then sends them. On a kept
//     connection, input is a stray answer: the connection is closed and the dialogue
//     runs again on a new one. On a new connection, input is an early answer, which may
//     only say virus or suspicious, see [backends.Answer.Early].
//   - A kept connection that dies before the first byte of an answer is replaced by a
//     new one, once.
//   - If an object cannot be read, the connection is closed, so that no engine mistakes
//     the first part of an object for all of it.
//   - No length that an engine sends decides how much memory is allocated, and every line
//     is limited in length.
//   - When the context ends, the connection is closed.
package engineconn

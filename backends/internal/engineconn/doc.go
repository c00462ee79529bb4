// Package engineconn carries one conversation with an engine over a connection:
// dialing and TLS, keeping connections, sending an object whole or not at all,
// reading bounded answers, and what the end of a connection or a context means.
//
// What an answer says is the business of the engine's own package. A dialogue is a
// function on a [Conn]; [Client.Scan] runs it on a kept connection or a new one and
// enforces the rules that hold for every engine:
//
//   - A connection serves one dialogue at a time. It is kept only if Client.Keep is
//     set and the dialogue ended in order, with no input left.
//   - Before a request is complete the connection must be silent. [Conn.Send] holds
//     back the last bytes, checks for unread input, and then sends them. On a kept
//     connection input is a stray answer: the connection is dropped and the dialogue
//     runs again on a new one. On a new connection it is an early answer, which may
//     only say virus or suspicious, see [backends.Answer.Early].
//   - A kept connection that turns out to be dead before the first byte of an answer
//     is replaced by a new one, once.
//   - An object that cannot be read closes the connection, so that no engine takes a
//     part for the whole.
//   - Nothing is allocated by a length that an engine sent, and every line has a
//     bound.
//   - The end of the context closes the connection.
package engineconn

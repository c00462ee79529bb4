// Package wire speaks HTTP/1.x with an engine: it writes requests with an object in
// them and reads complete, bounded answers. Connections, and the rules for early and
// stray answers, are those of package engineconn. The Transport of net/http does not
// do: it hides that an answer began before the request was complete, and it cannot
// hold back the last bytes of a request until the connection was seen to be silent.
//
// What an answer says is the business of the engine's own package. Here is what
// holds for all of them:
//
//   - The length that is announced is exactly what is sent.
//   - No redirects, proxies, compression or HTTP/2.
//   - Nothing is allocated by a length that the engine sent, and everything that it
//     may say has a bound.
//   - Whether the length of a body was announced is part of the answer: only then is
//     it known to be complete.
package wire

// MaxDetail bounds the detail of a result or failure.
const MaxDetail = 512

// Clip cuts an engine's words to n bytes.
func Clip(s string, n int) string { return s[:min(len(s), n)] }

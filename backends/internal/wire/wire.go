// Package wire speaks HTTP/1.x with an engine: it writes requests that contain an object
// and reads complete answers of limited length. Package engineconn provides the
// connections and the rules for early and stray answers. The Transport of net/http cannot
// be used: it hides that an answer began before the request was complete, and it cannot
// hold back the last bytes of a request until the connection is known to be silent.
//
// The package of each engine interprets the answers. These rules hold for all of them:
//
//   - Exactly the announced length is sent.
//   - There are no redirects, proxies, compression or HTTP/2.
//   - No length that the engine sends decides how much memory is allocated, and every
//     part of an answer is limited in length.
//   - A Response says whether the length of its body was announced: only then is the body
//     known to be complete.
package wire

// MaxDetail is the maximum length of the detail of a result or failure.
const MaxDetail = 512

// Clip returns at most the first n bytes of an engine's text.
func Clip(s string, n int) string { return s[:min(len(s), n)] }

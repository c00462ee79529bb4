package protocol

import "polyclam/protocol/internal/escape"

// EscapeObject escapes the name of an object so that it can neither end a record early nor
// forge one. Use it for replies that end in a newline and for all replies to polyclam's
// own verbs. [UnescapeObject] returns the original name, byte for byte.
//
// Control characters (U+0080 to U+009F included) and what some libraries take for a
// line break (U+2028, U+2029, and 0x85 outside a UTF-8 character) become \xNN. In a
// name whose escaped form is longer than 128 bytes, so does the first letter of OK,
// FOUND and ERROR after a space: a client with a short buffer must not mistake it for
// the end of a status line.
//
// Backslashes are doubled if the name has a byte that is escaped, or already contains
// \\ or \xNN. Any other name is unchanged.
func EscapeObject(name string) string { return escape.Object(name) }

// UnescapeObject reverses [EscapeObject]. A backslash that begins neither \\ nor \xNN
// is kept.
func UnescapeObject(s string) string { return escape.Unescape(s) }

// EscapeWords escapes the first letter of OK, FOUND and ERROR after a space, as
// [EscapeObject] does in long names. Use it for text at the end of a line that is
// otherwise escaped.
func EscapeWords(s string) string { return escape.Words(s) }

package proxy

import (
	"strings"

	"polyclam/backends"
)

// containers maps the first bytes of formats that can be encrypted to their names in
// [policy.Verdict].
var containers = []struct{ magic, name string }{
	{"PK\x03\x04", "zip"},
	{"Rar!\x1a\x07", "rar"},
	{"7z\xbc\xaf\x27\x1c", "7z"},
	{"%PDF-", "pdf"},
	{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole2"},
}

// container names the format of an object by its first bytes; empty if unknown.
func container(o backends.Object) string {
	var head [8]byte
	n, _ := o.ReadAt(head[:], 0)
	for _, c := range containers {
		if strings.HasPrefix(string(head[:n]), c.magic) {
			return c.name
		}
	}
	return ""
}

// Package docs tests the documentation: configurations load, commands parse, output
// comes from the real programs, quoted messages exist, and links lead somewhere.
//
// A fenced block on a page has one of these forms:
//
//	toml         a configuration, or a part of one, that polyclamd --check-file accepts
//	sh           commands; those of polyclam and polyclamd have only flags that exist
//	ini          lines of a systemd unit
//	go           an excerpt of testdata/acme
//	text NAME    output of the real programs, see generated, or one of static
//	json NAME    the same
//
// The recipes in docs/clients have forms of their own, which test/clients checks.
package docs

// Package config reads polyclam's configuration file.
//
// Reading is strict: an unknown key, a value of the wrong type, a duplicate or a dangling
// reference is a problem. All problems in a file are reported together, each with its
// line, its key and what to write instead. The whole file, including the backends' keys,
// is checked before any of it is used.
//
//	f, err := config.Load("/etc/polyclam/config.toml")
//	s, err := spool.New(f.Spool())
//	c, err := f.Build(s, log) // the server's configuration, backends opened
//
// The steps: package position finds the line of every key, package decode fills the
// structs of [File], validate checks what no single key can show, and warn adds what is
// doubtful. Defaults come from the package that a key configures. A backend's keys are
// the fields of the backend's own struct.
package config

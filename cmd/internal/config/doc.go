// Package config reads polyclam's configuration file.
//
// Reading is strict: an unknown key, a value of the wrong type, a duplicate or a
// reference to nothing is a problem. All problems of a file are reported together, each
// with its line, its key and what to write instead. A file is checked as a whole,
// backends included, before any of it is used.
//
//	f, err := config.Load("/etc/polyclam/config.toml")
//	s, err := spool.New(f.Spool())
//	c, err := f.Build(s, log) // the server's configuration, backends opened
//
// A file takes this way: package position finds the line of every key, package decode
// fills the structs of [File], validate checks what one key alone cannot show, and warn
// adds what is doubtful. Defaults come from the package that a key configures; a
// backend's keys are the fields of the backend's struct.
package config

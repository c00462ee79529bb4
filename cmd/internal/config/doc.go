// Package config reads polyclam's configuration file.
//
// Reading is strict: an unknown key, a value of the wrong type, a duplicate or
// a reference to nothing is a problem, and all problems are reported at once,
// each with its line and with what would be right. A file is checked whole,
// backends included, before anything of it is used.
//
//	f, err := config.Load("/etc/polyclam/config.toml")
//	s, err := spool.New(f.Spool())
//	c, err := f.Build(s, log) // the server's configuration, backends opened
//
// Every table of the file is a list of keys, see [File], each with a function
// that takes its value; there are no struct tags. A backend's own keys, which
// stand beside the common ones in [[engine]], are the backend's struct.
package config

// Package cli is what the command lines of polyclamd and polyclam have in common: how
// cobra is driven, usage errors, help, the version, and which configuration is read.
package cli

// Package cli has the code that the command lines of polyclamd and polyclam share: the
// setup of cobra, usage errors, help, the version, and the choice of the configuration
// file.
package cli

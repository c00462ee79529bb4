// Package clamdtest runs real daemons for tests: clamd, and polyclamd in front of it.
//
// Both run in the foreground as an unprivileged user, in their own short directory that
// this user can traverse, so that a test run by root can have files the daemon may not
// read. The package polls both with PING until they answer, ends them at the test's
// cleanup, and shows their logs if the test failed.
//
// A package whose tests call [StartPolyclam] has a TestMain that runs [Main], which
// removes the built program.
package clamdtest

import "polyclam/backends/testfile"

// Names that the database of [Start] gives to what it finds, in clamd 1.4.6's form:
// signatures that are not from an official CVD get the suffix.
const (
	EICARName = "Eicar-Test-Signature.UNOFFICIAL"
	OneName   = "Polyclam.Test.One.UNOFFICIAL"
	TwoName   = "Polyclam.Test.Two.UNOFFICIAL"
	// OddName has bytes that confuse clients, LongName too many of them.
	OddName  = `Odd;a,b|c(d)[e]<f>&"g'$h%i` + suffix
	LongName = "Polyclam.Test.Long.abcdefghijklmnopqrstuvwxyz.abcdefghijklmnopqrstuvwxyz.abcdefghijklmnopqrstuvwxyz.abcdefghijklmnopqrstuvwxyz" + suffix
)

const suffix = ".UNOFFICIAL"

// Texts that the database of [Start] finds. One and Two match anywhere in a file; EICAR
// does, too.
const (
	One = "polyclam-test-marker-one"
	Two = "polyclam-test-marker-two"
	// Odd and Long are found as OddName and LongName.
	Odd  = "polyclam-test-marker-odd"
	Long = "polyclam-test-marker-long"
)

// EICAR is [testfile.EICAR] as a string.
func EICAR() string { return string(testfile.EICAR()) }

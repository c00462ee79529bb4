// Package migrate inspects a machine that runs clamd and plans the switch to polyclam:
// clients find polyclam where clamd was, and clamd moves to a new socket or port.
//
//	m, err := migrate.Look(migrate.Options{})
//	m.Rows()             // what was found, and what it is used for
//	text, err := m.Config()  // polyclam's configuration, checked
//	m.Steps(o)           // what the administrator still has to do
//
// Look changes nothing. [Machine.MoveClamd] writes a separate configuration for clamd.
// clamd.conf itself stays unchanged: clamdscan, clamdtop, clamonacc and freshclam read
// LocalSocket from it and should find polyclam there.
package migrate

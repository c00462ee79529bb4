// Package migrate looks at a machine that has clamd, and plans how polyclam
// takes its place: clients find polyclam where clamd was, and clamd goes on
// behind it at a new one.
//
//	m, err := migrate.Look(migrate.Options{})
//	m.Rows()             // what was found, and what becomes of it
//	text, err := m.Config()  // polyclam's configuration, checked
//	m.Steps()            // what remains to be done by the administrator
//
// Nothing is changed by looking. [Machine.MoveClamd] writes clamd a
// configuration of its own. clamd.conf itself stays as it is: clamdscan,
// clamdtop, clamonacc and freshclam read LocalSocket from it, and are to find
// polyclam there.
package migrate

// Package testkit holds what tests of every package need: polling for a condition
// ([Eventually]), golden files ([Golden], [GoldenSection]), directories for Unix
// sockets ([SocketDir]), programs to execute ([WriteProgram]) and servers for one
// connection after another ([Serve]).
//
// It imports only the standard library, so any test can import it.
package testkit

import (
	"os"
	"testing"
	"time"
)

// patience limits every wait. It is long because test machines can be slow, and a
// test that passes never waits for all of it.
var patience = time.Minute

// Eventually polls until cond returns true. If that takes more than a minute it fails
// the test; what names the condition: "the connection is closed".
func Eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still not true after %v: %s", patience, what)
		}
	}
}

// SocketDir returns a new directory whose path is short enough for a Unix socket in
// it. The path of t.TempDir contains the test's name and may not be. Every user may
// enter the directory, and it is removed when the test ends.
func SocketDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

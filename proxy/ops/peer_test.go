package ops

import (
	"fmt"
	"net"
	"os"
	"regexp"
	"testing"

	"polyclam/test/testkit"
)

func TestUserOf(t *testing.T) {
	ln := testkit.Listen(t, "unix")
	nc, err := net.Dial("unix", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	served, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer served.Close()
	want := regexp.MustCompile(fmt.Sprintf(`^uid=%d( \([^)]+\))?, pid=%d$`, os.Getuid(), os.Getpid()))
	if got := userOf(newGate(1).enter(served, ln)); !want.MatchString(got) {
		t.Errorf("%q, want %s", got, want)
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	for _, c := range []*conn{nil, newGate(1).enter(a, nil)} {
		if got := userOf(c); got != "unknown" {
			t.Errorf("%q, want unknown", got)
		}
	}
}

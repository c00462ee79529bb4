package testkit

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// recorder is a testing.TB that records failures instead of failing the test.
type recorder struct {
	testing.TB
	failures []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, _ ...any) { r.failures = append(r.failures, format) }

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(r)
}

// failed runs f with a recorder and reports whether it failed the test.
func failed(t *testing.T, f func(testing.TB)) (yes bool) {
	r := &recorder{TB: t}
	defer func() {
		if p := recover(); p != nil && p != r {
			panic(p)
		}
		yes = len(r.failures) > 0
	}()
	f(r)
	return false
}

func TestEventually(t *testing.T) {
	calls := 0
	Eventually(t, "the third call", func() bool { calls++; return calls == 3 })
	defer func(d time.Duration) { patience = d }(patience)
	patience = 0
	if !failed(t, func(tb testing.TB) { Eventually(tb, "never", func() bool { return false }) }) {
		t.Error("a condition that never holds passes")
	}
}

func TestGolden(t *testing.T) {
	file := filepath.Join(t.TempDir(), "golden")
	defer func(b bool) { *update = b }(*update)
	*update = true
	Golden(t, file, []byte("one\ntwo BEGIN three END four\n"))
	GoldenSection(t, file, "BEGIN", "END", " 3 ")
	*update = false
	Golden(t, file, []byte("one\ntwo BEGIN 3 END four\n"))
	GoldenSection(t, file, "BEGIN", "END", " 3 ")
	for name, f := range map[string]func(testing.TB){
		"another file":      func(tb testing.TB) { Golden(tb, file, []byte("one\n")) },
		"an empty one":      func(tb testing.TB) { Golden(tb, file, nil) },
		"another section":   func(tb testing.TB) { GoldenSection(tb, file, "BEGIN", "END", "4") },
		"no such beginning": func(tb testing.TB) { GoldenSection(tb, file, "begin", "END", " 3 ") },
		"no such end":       func(tb testing.TB) { GoldenSection(tb, file, "BEGIN", "end", " 3 ") },
	} {
		if !failed(t, f) {
			t.Errorf("%s passes", name)
		}
	}
}

func TestFirstDifference(t *testing.T) {
	if got, want := firstDifference("a\nb\nc\n", "a\nx\nc\n"), "line 2\n got \"b\\n\"\nwant \"x\\n\""; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestServe(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		var address string
		ended := false
		t.Run(network, func(t *testing.T) {
			address = Serve(t, network, func(nc net.Conn) {
				io.Copy(nc, nc)
				ended = true
			})
			nc := dial(t, address)
			if _, err := nc.Write([]byte("echo")); err != nil {
				t.Fatal(err)
			}
			reply := make([]byte, 4)
			if _, err := io.ReadFull(nc, reply); err != nil || string(reply) != "echo" {
				t.Errorf("%q, %v", reply, err)
			}
		})
		if !ended {
			t.Errorf("%s: the test ended before its handler", network)
		}
		network, addr, _ := strings.Cut(address, ":")
		if nc, err := net.Dial(network, addr); err == nil {
			nc.Close()
			t.Errorf("%s is still open after the test", address)
		}
	}
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	network, addr, _ := strings.Cut(address, ":")
	nc, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	return nc
}

func TestSocketDir(t *testing.T) {
	var dir string
	t.Run("a test with a name that is much too long for the path of a socket, as happens with tables of cases", func(t *testing.T) {
		dir = SocketDir(t)
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%v, %v", info, err)
		}
		if len(dir) > 60 {
			t.Errorf("%s has %d bytes", dir, len(dir))
		}
	})
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("after the test: %v", err)
	}
}

package clients

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"polyclam/test/clamdtest"
)

// A truncated reply is never a verdict, wherever it ends.
func TestPolyclamModuleCut(t *testing.T) {
	t.Parallel()
	perl, folder := startCaller(t, ""), mailFolder(t, map[string][]byte{"a": []byte("text")})
	f := startModuleFake(t)
	for _, reply := range []string{moduleOK, moduleEncrypted, moduleVirus} {
		for n := range len(reply) {
			f.do(says(reply[:n]), false)
			if got := perl.call(t, messageScan, folder, "", f.socket); got.triple != "999 interrupted tempfail" {
				t.Errorf("%q and the end: %s", reply[:n], got.triple)
			}
		}
	}
}

// A reply means the same in any number of packets.
func TestPolyclamModuleSplit(t *testing.T) {
	t.Parallel()
	perl, folder := startCaller(t, ""), mailFolder(t, map[string][]byte{"a": []byte("text")})
	f := startModuleFake(t)
	pieces := func(cut ...int) answer {
		return func(_ string, _ []byte, conn net.Conn) string {
			rest, at := moduleEncrypted, 0
			for _, n := range cut {
				fmt.Fprint(conn, rest[:n-at])
				rest, at = rest[n-at:], n
				time.Sleep(time.Millisecond) // let the reader run before the next piece
			}
			return rest
		}
	}
	all := make([]int, len(moduleEncrypted)-1)
	for i := range all {
		all[i] = i + 1
		if i%7 == 0 {
			f.do(pieces(i+1), false)
			if got := perl.call(t, messageScan, folder, "", f.socket); got.triple != "2 encrypted ok" {
				t.Errorf("cut at %d: %s %s", i+1, got.triple, got.messages)
			}
		}
	}
	f.do(pieces(all...), false)
	if got := perl.call(t, messageScan, folder, "", f.socket); got.triple != "2 encrypted ok" {
		t.Errorf("byte by byte: %s %s", got.triple, got.messages)
	}
}

// No single wrong byte turns a held mail into a delivered one.
func TestPolyclamModuleMutated(t *testing.T) {
	t.Parallel()
	perl, folder := startCaller(t, ""), mailFolder(t, map[string][]byte{"a": []byte("text")})
	f := startModuleFake(t)
	random := rand.New(rand.NewPCG(1, 2))
	count := 0
	for _, reply := range []string{moduleVirus, moduleFailed} {
		for i := range len(reply) {
			for _, b := range []byte{' ', '\n', ':', byte(random.Uint32())} {
				bad := []byte(reply)
				bad[i] = b
				f.do(says(string(bad)), false)
				count++
				if got := perl.call(t, messageScan, folder, "", f.socket); strings.HasSuffix(got.triple, " ok") {
					t.Errorf("%q: %s", bad, got.triple)
				}
			}
		}
	}
	t.Logf("count: %d replies with one wrong byte to Mail::MIMEDefang::Polyclam, none of them a verdict that delivers", count)
}

// A daemon that never finishes costs at most $PolyclamTimeout.
func TestPolyclamModuleDeadline(t *testing.T) {
	t.Parallel()
	perl := startCaller(t, "")
	folder := mailFolder(t, map[string][]byte{"a": bytes.Repeat([]byte("text"), 1<<20), "b": []byte("more")})
	stop := make(chan struct{})
	wait := func(string, []byte, net.Conn) string { <-stop; return "" }
	f := startModuleFake(t)
	// This runs before the fake's cleanup, which waits for its connections.
	t.Cleanup(func() { close(stop) })
	endless := func(text string) answer {
		return func(_ string, _ []byte, conn net.Conn) string {
			for {
				if _, err := fmt.Fprint(conn, text); err != nil {
					return ""
				}
			}
		}
	}
	drip := func(_ string, _ []byte, conn net.Conn) string {
		for i := 0; ; i++ {
			if _, err := conn.Write([]byte{moduleOK[i%10]}); err != nil {
				return ""
			}
			select {
			case <-stop:
				return ""
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	for _, tt := range []struct {
		name   string
		answer answer
		early  bool
		limit  string // seconds
		triple string
	}{
		{"silent", wait, false, "0.7", "999 interrupted tempfail"},
		{"reads nothing", wait, true, "0.7", "999 interrupted tempfail"},
		{"drips", drip, false, "0.7", "999 interrupted tempfail"},
		{"endless line", endless(strings.Repeat("x", 64<<10)), false, "60", "999 swerr tempfail"},
		{"endless records", endless(strings.Repeat("stream: OK\n", 1000)), false, "60", "999 swerr tempfail"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f.do(tt.answer, tt.early)
			start := time.Now()
			got := perl.call(t, messageScan, folder, "$PolyclamTimeout = "+tt.limit, f.socket)
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("took %v", took)
			}
			if got.triple != tt.triple {
				t.Errorf("got %s, %s", got.triple, got.messages)
			}
		})
	}
	t.Run("keeps the connection", func(t *testing.T) {
		f.do(func(_ string, _ []byte, conn net.Conn) string {
			fmt.Fprint(conn, moduleOK)
			<-stop
			return ""
		}, false)
		if got := perl.call(t, messageScan, folder, "", f.socket); got.triple != "0 ok ok" {
			t.Errorf("got %s, %s", got.triple, got.messages)
		}
	})
	t.Run("accepts nobody", func(t *testing.T) {
		if got := perl.call(t, messageScan, folder, "$PolyclamTimeout = 0.7", fullBacklog(t)); got.triple != "999 cannot-execute tempfail" {
			t.Errorf("got %s, %s", got.triple, got.messages)
		}
	})
}

// fullBacklog is a Unix socket without accept(2) and with a full backlog.
func fullBacklog(t *testing.T) string {
	t.Helper()
	path := filepath.Join(clamdtest.Dir(t, ""), "full.sock")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		c, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { syscall.Close(c) })
		if err := syscall.Connect(c, &syscall.SockaddrUnix{Name: path}); err == syscall.EAGAIN {
			return path
		}
	}
	t.Fatal("the backlog does not fill")
	return ""
}

// A reply that comes before the object was sent passes nothing.
func TestPolyclamModuleEarly(t *testing.T) {
	t.Parallel()
	perl, folder := startCaller(t, ""), mailFolder(t, map[string][]byte{"a": make([]byte, 8<<20)})
	for _, tt := range []struct{ name, reply, triple string }{
		{"ok", moduleOK, "999 swerr tempfail"},
		{"encrypted", moduleEncrypted, "999 swerr tempfail"},
		{"virus", moduleVirus, "1 virus quarantine"},
		{"too large", "INSTREAM size limit exceeded. ERROR\nEND\n", "999 partial tempfail"},
		{"unknown, then ok", "UNKNOWN COMMAND\n", "999 swerr tempfail"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := startModuleFake(t)
			f.do(func(command string, _ []byte, _ net.Conn) string {
				if command == "nINSTREAM" {
					return "stream: OK\n"
				}
				return tt.reply
			}, true)
			if got := perl.call(t, messageScan, folder, "", f.socket); got.triple != tt.triple {
				t.Errorf("got %s, %s", got.triple, got.messages)
			}
		})
	}
}

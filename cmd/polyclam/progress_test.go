package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"polyclam/backends/backendtest"
	"polyclam/test/testkit"
)

// terminal opens a pseudo terminal, and collects what is written to it.
func terminal(t *testing.T) (end *os.File, shown func() string) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("NOT TESTED: there are no pseudo terminals: %v", err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		end, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Skipf("NOT TESTED: there are no pseudo terminals: %v", err)
	}
	var mu sync.Mutex
	var text strings.Builder
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			mu.Lock()
			text.Write(b[:n])
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		end.Close()
		<-done // reading fails with EIO when the other end is closed
		master.Close()
	})
	return end, func() string {
		mu.Lock()
		defer mu.Unlock()
		return text.String()
	}
}

func TestProgress(t *testing.T) {
	end, shown := terminal(t)
	answer := make(chan struct{})
	engine := marked()
	engine.backend = &backendtest.Fake{Until: answer}
	s := serve(t, nil, engine)
	c := toolCommand(t, files(t, "a\x1b]b", "12345678"), "--address", s.tcp, "scan", "-q", "a\x1b]b")
	c.Stderr = end
	go func() {
		defer close(answer)
		testkit.Eventually(t, "progress", func() bool { return strings.Contains(shown(), "0 files, 8 bytes: a") })
	}()
	finish(t, c)
	const clear = "\r\x1b[K"
	testkit.Eventually(t, "the end of the progress", func() bool { return strings.HasSuffix(shown(), clear) })
	if text := shown(); !strings.HasPrefix(text, clear+`0 files, 8 bytes: a\x1b]b`) {
		t.Errorf("the terminal gets %q", text)
	}
}

func TestNoProgressWithoutTerminal(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/stderr")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, w := range []io.Writer{file, new(strings.Builder)} {
		p := newProgress(w)
		if p.w != nil {
			t.Errorf("progress on a %T", w)
		}
		p.close()
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		in   string
		n    int
		want string
	}{
		{"short", 10, "short"}, {"exactly10!", 10, "exactly10!"}, {"longer than that", 10, "lon...that"},
		{"日本語日本語日本語日本語", 9, "日本語...日本語"}, {"abcdef", 3, "abc"}, {"abcdef", 0, ""}, {"abcdef", -1, ""},
	} {
		if got := cut(c.in, c.n); got != c.want {
			t.Errorf("cut(%q, %d) = %q, want %q", c.in, c.n, got, c.want)
		}
	}
}

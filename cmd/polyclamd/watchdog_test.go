package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// TestWatchdog plays systemd. It gets reports from a daemon that runs, and none from one that
// is stopped.
func TestWatchdog(t *testing.T) {
	dir := socketDir(t)
	path := filepath.Join(dir, "notify")
	nc, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	next := func(wait time.Duration) string {
		nc.SetReadDeadline(time.Now().Add(wait))
		buf := make([]byte, 1024)
		n, _ := nc.Read(buf)
		return string(buf[:n])
	}
	d := launch(t, func(c *exec.Cmd) { c.Env = append(c.Env, "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=30000") },
		"--config", writeConfig(t, dir, unixListener(filepath.Join(dir, "s"))))
	if got := next(hang); got != stateReady {
		t.Fatalf("%q, want %q first", got, stateReady)
	}
	for range 3 {
		if got := next(hang); got != stateAlive {
			t.Errorf("%q, want %q", got, stateAlive)
		}
	}
	d.signal(syscall.SIGSTOP)
	for next(300*time.Millisecond) != "" { // reports sent earlier
	}
	d.signal(syscall.SIGCONT)
	if got := next(hang); got != stateAlive {
		t.Errorf("%q, want %q", got, stateAlive)
	}
}

// TestHungWatchdogTest checks that a test that hangs is not repeated.
func TestHungWatchdogTest(t *testing.T) {
	var log bytes.Buffer
	d := &process{log: zerolog.New(&log), watchdog: &watchdog{began: time.Now()}} // has no server: a test would panic
	d.checkAlive()
	if !strings.Contains(log.String(), `"level":"error"`) {
		t.Errorf("the log is %q", log.String())
	}
}

func TestWatchdogTime(t *testing.T) {
	own := strconv.Itoa(os.Getpid())
	for _, test := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"", "", 0}, {"60000000", "", time.Minute}, {"60000000", own, time.Minute}, {"60000000", "1", 0},
		{"0", own, 0}, {"-5", own, 0}, {"x", own, 0}, {"99999999999999999", own, 0},
	} {
		env := map[string]string{"WATCHDOG_USEC": test.usec, "WATCHDOG_PID": test.pid}
		if got := watchdogInterval(func(name string) string { return env[name] }); got != test.want {
			t.Errorf("%v: %v, want %v", env, got, test.want)
		}
	}
}

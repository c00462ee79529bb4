package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"polyclam/test/testkit"
)

// TestWatchdog plays systemd. It gets reports from a daemon that runs, and none from one that
// is stopped.
func TestWatchdog(t *testing.T) {
	dir := testkit.SocketDir(t)
	manager := listenNotify(t, dir)
	launched := func(c *exec.Cmd) {
		manager.notifies(c)
		c.Env = append(c.Env, "WATCHDOG_USEC=30000")
	}
	d := launch(t, launched, "--config", writeConfig(t, dir, unixListener(filepath.Join(dir, "s"))))
	manager.want(stateReady, stateAlive, stateAlive, stateAlive)
	d.signal(syscall.SIGSTOP)
	for buf := make([]byte, 1024); ; { // skip reports sent earlier
		manager.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		if _, err := manager.Read(buf); err != nil {
			break
		}
	}
	manager.SetReadDeadline(time.Now().Add(hang))
	d.signal(syscall.SIGCONT)
	manager.want(stateAlive)
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

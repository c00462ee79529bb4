package main

import (
	"bytes"
	"os"
	"os/exec"
	"sync"
	"testing"

	"polyclam/test/testkit"
)

// buildDaemon builds polyclamd.
func buildDaemon(t *testing.T, path string) {
	t.Helper()
	if out, err := exec.Command("go", "build", "-o", path, "../polyclamd").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
}

// daemonLog collects the log of a daemon.
type daemonLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *daemonLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *daemonLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startDaemon starts a polyclamd, waits until it listens, and ends it with the test.
func startDaemon(t *testing.T, program, conf string) *daemonLog {
	t.Helper()
	log := &daemonLog{}
	c := exec.Command(program, "--config", conf)
	c.Env = append(os.Environ(), "NOTIFY_SOCKET=")
	c.Stderr = log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
	testkit.Eventually(t, "polyclamd listens", func() bool { return bytes.Contains([]byte(log.String()), []byte(`"message":"engine"`)) })
	return log
}

package e2e

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"polyclam/test/clamdtest"
)

// escapes are terminal escape sequences.
var escapes = regexp.MustCompile(`\x1b(?:\[[0-9;?]*[a-zA-Z]|[()][A-Z0-9]|[=>])`)

// screen collects what a program displays. It is safe for concurrent use.
type screen struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

// text is everything displayed, without the escapes and in one line.
func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return escapes.ReplaceAllString(s.buf.String(), "")
}

// TestClamdtop runs clamdtop on a terminal until it has shown polyclamd's version,
// threads and queue twice, and quits it with its own key. clamdtop aborts on a STATS
// reply it does not understand.
func TestClamdtop(t *testing.T) {
	clamdtop := clamdtest.RequireProgram(t, "clamdtop")
	script := clamdtest.RequireProgram(t, "script")
	clamd := clamdtest.Start(t, clamdtest.Options{Daily: true})
	polyclam := clamdtest.StartPolyclam(t, config(clamd.Socket, ""), clamdtest.Options{})
	for name, socket := range map[string]string{"clamd": clamd.Socket, "polyclam": polyclam.Socket} {
		t.Run(name, func(t *testing.T) { showTop(t, script, clamdtop, socket) })
	}
}

func showTop(t *testing.T, script, clamdtop, socket string) {
	cmd := exec.Command(script, "-qec", "stty rows 40 cols 120; exec "+clamdtop+" "+socket, "/dev/null")
	cmd.Env = append(os.Environ(), "TERM=xterm")
	var shown screen
	cmd.Stdout, cmd.Stderr = &shown, &shown
	keys, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer cmd.Process.Kill()
	wants := []string{"ClamdTOP version", "Details for Clamd version", "ClamAV 1.4.6/27123/", "Primary threads: live", "Queue:"}
	complete := func() bool {
		text := shown.text()
		for _, want := range wants {
			if !strings.Contains(text, want) {
				return false
			}
		}
		return true
	}
	for deadline := time.Now().Add(hang); !complete(); time.Sleep(20 * time.Millisecond) {
		select {
		case err := <-ended:
			t.Fatalf("clamdtop ended: %v\n%s", err, shown.text())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("clamdtop does not show all of %q:\n%s", wants, shown.text())
		}
	}
	if _, err := io.WriteString(keys, "q"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("clamdtop: %v\n%s", err, shown.text())
		}
	case <-time.After(hang):
		t.Errorf("clamdtop does not end:\n%s", shown.text())
	}
}

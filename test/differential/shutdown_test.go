package differential

import (
	"fmt"
	"os"
	"testing"
	"time"

	"polyclam/test/clamdtest"
)

// TestShutdown shows D13 and D1: SHUTDOWN ends clamd, but polyclamd only if the
// listener allows it. After another command polyclamd never executes it.
func TestShutdown(t *testing.T) {
	for _, c := range []struct {
		command     string
		allowed     bool
		want        outcome
		clamd, poly bool // ends
		refused     bool // want is a refusal, which clamd does not know
	}{
		{"zSHUTDOWN\x00", false, closed("COMMAND UNAVAILABLE\x00"), true, false, true},
		{"nSHUTDOWN\n", true, closed(""), true, true, false},
		{"SHUTDOWN\n", true, closed(""), true, true, false},
		{"zQUIT\x00", false, closed("COMMAND UNAVAILABLE\x00"), true, false, true},
		{"QUIT\n", true, closed(""), true, true, false},
		{"zPING\x00zSHUTDOWN\x00", true, closed("PONG\x00"), true, false, false},
		{"nPING\nnSHUTDOWN\n", true, closed("PONG\n"), true, false, false},
	} {
		t.Run(fmt.Sprintf("%q allowed %v", c.command, c.allowed), func(t *testing.T) {
			w := world{}
			if c.allowed {
				w.listener = "shutdown_command = true"
			}
			clamd, polyclam := started(t, w)
			d := dialogue{steps: []step{send(c.command)}}
			got, p, _ := playBoth(t, &d, clamd, polyclam, "/nowhere")
			if (got != c.want) != c.refused {
				t.Errorf("clamd answered %v", got)
			}
			if p != c.want {
				t.Errorf("polyclam answered %v, want %v", p, c.want)
			}
			checkEnds(t, "clamd", c.clamd, clamd.Ended)
			checkEnds(t, "polyclamd", c.poly, polyclam.Ended)
			if c.poly {
				checkExit(t, polyclam)
			}
		})
	}
}

func checkEnds(t *testing.T, name string, want bool, ended func() bool) {
	t.Helper()
	limit := settle
	if want {
		limit = hang
	}
	for deadline := time.Now().Add(limit); !ended() && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	if ended() != want {
		t.Errorf("%s ended: %v, want %v", name, ended(), want)
	}
}

func checkExit(t *testing.T, p *clamdtest.Polyclam) {
	t.Helper()
	if status, err := p.Wait(); err != nil || status != 0 {
		t.Errorf("polyclamd exited with status %d, %v", status, err)
	}
	if _, err := os.Lstat(p.Socket); err == nil {
		t.Error("polyclamd left its socket behind")
	}
}

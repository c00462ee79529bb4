package sssp

import (
	"fmt"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/engineconn/linetest"
	"polyclam/backends/sssp/ssspfake"
)

// TestLateAnswer checks that an answer without a request, or to an earlier one, never
// counts: the object is scanned again on a new connection.
func TestLateAnswer(t *testing.T) {
	for name, late := range map[string]backendtest.Script{
		"while idle":       {say("ACC 1/5\r\n" + done)},
		"in place of ACC":  {want("SCANDATA 1\r\n"), say(done)},
		"earlier ACC":      {want("SCANDATA 1\r\n"), say("ACC 1/3\r\n")},
		"before the data":  {want("SCANDATA 1\r\n"), say("ACC 1/5\r\n" + done)},
		"after the data":   {want("SCANDATA 1\r\n"), say("ACC 1/5\r\n"), want("x"), say(done + "VIRUS C \r\n" + doneVirus)},
		"virus, then done": {want("SCANDATA 1\r\n"), say("ACC 1/5\r\n"), want("x"), say("VIRUS B \r\n" + doneVirus + done)},
	} {
		t.Run(name, func(t *testing.T) {
			idle, sent := make(chan struct{}), make(chan struct{})
			first := append(asked(want("QUERY SERVER\r\n"), say(fenced(done, 4)), backendtest.Wait(idle)), late[0])
			if name == "while idle" {
				first = append(first, closing(sent))
			} else {
				close(sent)
			}
			first = append(append(first, late[1:]...), backendtest.Drain())
			d := backendtest.StartDaemon(t, "unix", first, asked(say(fenced("VIRUS A \r\n"+doneVirus, 4)), backendtest.Drain()))
			b := open(t, d.Address(), nil)
			scanOK(t, b)
			close(idle)
			<-sent
			r, err := b.Scan(backendtest.Context(t), x(t))
			if err != nil || r.Category != backends.Virus || len(r.Findings) != 1 || r.Findings[0].Name != "A" || d.Connections() != 2 {
				t.Errorf("got %+v, %v, %d connections", r, err, d.Connections())
			}
		})
	}
}

// TestRepeated repeats answers to scans and options with a delay, even during later scans.
func TestRepeated(t *testing.T) {
	g := backendtest.Together(t)
	defer g.Wait()
	for name, change := range map[string]func(*Config){"kept": nil, "once": once} {
		for _, slow := range []bool{false, true} {
			for _, repeat := range []time.Duration{5, 30, 60} {
				s := ssspfake.Start(t, ssspfake.Options{Slow: slow, Misbehaviour: backendtest.Misbehaviour{Repeat: repeat * time.Millisecond}})
				b := open(t, s.Address(), change)
				g.Go(func() {
					verdicts := linetest.Alternate(t, b, 10)
					t.Logf("%s, slow %v, after %d ms: %d of 300 with a verdict, %d connections", name, slow, repeat, verdicts, s.Connections())
				})
			}
		}
	}
}

func closing(c chan struct{}) backendtest.Step {
	return func(*backendtest.Session) error { close(c); return nil }
}

// TestEarlyAnswer checks that an answer before the end of the object counts only if it is
// a virus, a refusal, or a failure of savdid.
func TestEarlyAnswer(t *testing.T) {
	large := backendtest.LargeObject(t, 8<<20)
	for _, c := range []struct {
		reply string
		want  backends.Category
	}{
		{done, backends.SWErr},
		{"FAIL 0212 \r\n" + done, backends.SWErr},
		{"DONE FAIL 060F Scan terminated due to timeout\r\n\r\n", backends.Interrupted}, // savdid's own failure counts
		{"VIRUS A \r\n" + doneVirus, backends.Virus},
		{"FAIL 0212 \r\nDONE FAIL 0212 File was encrypted\r\n\r\n", backends.SWErr},
		{"REJ 1\r\n", backends.SWErr},
		{"REJ 4\r\n", backends.Partial},
	} {
		for name, end := range map[string]backendtest.Step{"stays": backendtest.Hang(), "shuts down": backendtest.CloseWrite()} {
			t.Run(fmt.Sprintf("%q, %s", c.reply, name), func(t *testing.T) {
				t.Parallel()
				steps := prepared(want("SCANDATA 8388608\r\n"), say("ACC 1/3\r\n"), backendtest.Discard(1000), say(c.reply), end, backendtest.Hang())
				d := backendtest.StartDaemon(t, "unix", steps)
				r, err := open(t, d.Address(), nil).Scan(backendtest.Context(t), large)
				got := r.Category
				if err != nil {
					got = backends.CategoryOf(err)
				}
				if got != c.want && !(c.want.IsFailure() && got.IsFailure() && r.Category == "") {
					t.Errorf("got %+v, %v", r, err)
				}
			})
		}
	}
}

// TestFence checks that only the right reply after an answer makes it count.
func TestFence(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Config)
		reply  string
		want   backends.Category
		fails  bool
	}{
		{"a stray answer before the true one", nil, fenced(done+"VIRUS A \r\n"+doneVirus, 4), "", true},
		{"the same, once", once, done + "VIRUS A \r\n" + doneVirus + "BYE\r\n", "", true},
		{"a stray answer after the true one", nil, fenced(done+done, 4), "", true},
		{"the same after, once", once, done + done + "BYE\r\n", "", true},
		{"another number", nil, fenced(done, 5), "", true},
		{"the same number", nil, fenced(done, 3), "", true},
		{"partial BYE", once, done + "BY", "", true},
		{"no QUERY SERVER", nil, done + "REJ 1\r\n", backends.OK, false},
		{"no QUERY SERVER, and BYE", nil, done + "REJ 1\r\nBYE\r\n", backends.OK, false},
		{"no QUERY SERVER, then a virus", nil, done + "REJ 1\r\nVIRUS A \r\n" + doneVirus, "", true},
		{"too much, after the answer", nil, done + "REJ 4\r\n", "", true},
		{"too much, then a virus", nil, done + "REJ 4\r\nVIRUS A \r\n" + doneVirus, "", true},
		{"not permitted, after the answer", nil, done + "REJ 5\r\n", "", true},
		{"too much, after the answer, once", once, done + "REJ 4\r\n", "", true},
		{"partial answer to QUERY SERVER", nil, done + "ACC 1/4\r\nversion: x\r\n", "", true},
		{"a virus, then a stray answer", once, "VIRUS A \r\n" + doneVirus + done, backends.Virus, true},
	} {
		d := backendtest.StartDaemon(t, "unix", asked(say(tt.reply), backendtest.CloseWrite(), backendtest.Drain()))
		b := open(t, d.Address(), tt.change)
		r, err := b.Scan(backendtest.Context(t), x(t))
		if r.Category != tt.want || (err != nil) != tt.fails || b.client.Idle() != 0 && tt.fails {
			t.Errorf("%s: %+v, %v", tt.name, r, err)
		}
	}
}

package differential

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"polyclam/test/child"
	"polyclam/test/clamdtest"
)

// These tests show the deviations that a dialogue cannot: what is left afterwards,
// whether another client receives a reply, and which daemon survives.

// started starts both sides for one test and also returns polyclamd.
func started(t *testing.T, w world) (*clamdtest.Clamd, *clamdtest.Polyclam) {
	t.Helper()
	if selfTest {
		t.Skip("needs polyclamd")
	}
	clamdtest.Require(t)
	reference := clamdtest.Start(t, clamdtest.Options{Conf: w.clamd, WorkDir: "/"})
	engine := clamdtest.Start(t, clamdtest.Options{Conf: w.clamd, WorkDir: "/", HideLog: true})
	return reference, clamdtest.StartPolyclam(t, w.config(engine.Socket), clamdtest.Options{WorkDir: "/"})
}

// playBoth plays one dialogue to both daemons and normalises the answers. reset reports
// that polyclamd did not close cleanly.
func playBoth(t *testing.T, d *dialogue, clamd *clamdtest.Clamd, polyclam *clamdtest.Polyclam, fixture string) (c, p outcome, reset bool) {
	t.Helper()
	c, _, err := d.play(&server{socket: clamd.Socket}, fixture)
	if err != nil {
		t.Fatal(err)
	}
	p, reset, err = d.play(&server{socket: polyclam.Socket}, fixture)
	if err != nil {
		t.Fatal(err)
	}
	return c, p, reset
}

// TestDescriptorsLeft shows D3: clamd leaks descriptors that arrive two in a message or
// with INSTREAM, polyclamd closes them all.
func TestDescriptorsLeft(t *testing.T) {
	f := newFixture(t)
	clamd, polyclam := started(t, world{})
	before := descriptors(t, clamd.Pid, polyclam.Pid)
	const rounds = 30
	for range rounds {
		for _, steps := range [][]step{
			{sendFiles("zFILDES\x00\x00", f.opened("eicar"), f.opened("clean"))},
			{sendFiles("zINSTREAM\x00"+stream(eicar), f.opened("clean"))},
			{sendFiles("zPING\x00", f.opened("clean"))},
			{sendFiles("zPI", f.opened("clean")), half},
			{sendFiles("zBOGUS\x00", f.opened("clean"), f.opened("clean"), f.opened("clean"))},
			{send("zIDSESSION\x00"), sendFiles("zFILDES\x00", f.opened("clean")), half},
		} {
			d := dialogue{steps: steps}
			playBoth(t, &d, clamd, polyclam, f.dir)
		}
	}
	grown := func() (clamdGrown, polyclamGrown int) {
		after := descriptors(t, clamd.Pid, polyclam.Pid)
		return after[0] - before[0], after[1] - before[1]
	}
	// Connections end a moment after their last byte, and kept sessions to the engine
	// come and go.
	const few = 15
	c, p := grown()
	for deadline := time.Now().Add(hang); p > few && time.Now().Before(deadline); c, p = grown() {
		time.Sleep(20 * time.Millisecond)
	}
	if p > few {
		t.Errorf("polyclamd has %d more descriptors after %d rounds", p, rounds)
	}
	if c < rounds {
		t.Errorf("D3 is stale: clamd has %d more descriptors after %d rounds", c, rounds)
	}
}

func descriptors(t *testing.T, pids ...int) []int {
	t.Helper()
	var ns []int
	for _, pid := range pids {
		n, err := child.Descriptors(pid)
		if err != nil {
			t.Fatal(err)
		}
		ns = append(ns, n)
	}
	return ns
}

// slowFile makes a file that keeps clamd busy for a while, with a virus at its end.
func (f *fixture) slowFile() string {
	f.write("slow", strings.Repeat("Every word of this has to be looked at. ", 1<<20)+clamdtest.One)
	return f.path("slow")
}

// TestHalfCloseWithoutEnd shows D10: clamd calls an infected file OK if the client of a
// session half-closes during the scan.
func TestHalfCloseWithoutEnd(t *testing.T) {
	f := newFixture(t)
	clamd, polyclam := started(t, world{})
	d := dialogue{steps: []step{send("zIDSESSION\x00zSCAN " + f.slowFile() + "\x00"), consumed, pause(50 * time.Millisecond), half}}
	got, p, _ := playBoth(t, &d, clamd, polyclam, f.dir)
	if want := closed("1: ${F}/slow: " + oneName + " FOUND\x00"); p != want {
		t.Errorf("polyclam %v, want %v", p, want)
	} else if got == want {
		t.Errorf("D10 is stale: clamd, too, answered %v", got)
	}
}

// TestReplyToWrongClient shows D23: a refused command ends clamd's session while a scan
// still uses its socket, and the next client gets the reply.
func TestReplyToWrongClient(t *testing.T) {
	f := newFixture(t)
	clamd, polyclam := started(t, world{})
	slow := f.slowFile()
	session := dialogue{steps: []step{send("zIDSESSION\x00zSCAN " + slow + "\x00"), consumed, send("zRELOAD\x00")}}
	wrong := map[string]int{}
	for name, socket := range map[string]string{"clamd": clamd.Socket, "polyclam": polyclam.Socket} {
		for range 3 {
			if _, _, err := session.play(&server{socket: socket}, f.dir); err != nil {
				t.Fatal(err)
			}
			waiting := dialogue{open: true, steps: []step{send("zPIN"), pause(time.Second)}}
			o, _, err := waiting.play(&server{socket: socket}, f.dir)
			if err != nil {
				t.Fatal(err)
			}
			if o.text != "" {
				wrong[name]++
			}
		}
	}
	if wrong["polyclam"] > 0 {
		t.Errorf("polyclam sent replies to another client in %d of 3 rounds", wrong["polyclam"])
	}
	if wrong["clamd"] == 0 {
		t.Log("clamd sent no reply to another client this time: it depends on which number its next connection gets")
	}
}

// sessionReply is one complete reply of the session below.
var sessionReply = regexp.MustCompile(`^(\d+): (?:stream: OK|stream: \S+ FOUND|PONG|ClamAV 1\.4\.6(?:\| COMMANDS: [A-Z ]+)?)$`)

// TestSessionRepliesAreWhole shows D11: clamd writes some replies of a session in
// several pieces, and another reply may come between them.
func TestSessionRepliesAreWhole(t *testing.T) {
	clamd, polyclam := started(t, world{})
	for range 10 {
		if err := wholeReplies(&server{socket: polyclam.Socket}); err != nil {
			t.Fatalf("polyclam: %v", err)
		}
	}
	for range 300 {
		if wholeReplies(&server{socket: clamd.Socket}) != nil {
			return
		}
	}
	t.Error("D11 is stale: clamd's replies were whole, too")
}

// wholeReplies plays a session of 100 commands and reports what is wrong with the
// replies.
func wholeReplies(s *server) error {
	d := dialogue{steps: []step{
		send("zIDSESSION\x00"),
		send(strings.Repeat("zVERSION\x00zINSTREAM\x00"+stream(eicar)+"zVERSIONCOMMANDS\x00zPING\x00zINSTREAM\x00"+stream(clean), 20)),
		send("zEND\x00"),
	}}
	o, _, err := d.play(s, "/nowhere")
	if err != nil {
		return err
	}
	ids := map[string]bool{}
	for reply := range strings.SplitSeq(strings.TrimSuffix(o.text, "\x00"), "\x00") {
		m := sessionReply.FindStringSubmatch(reply)
		if m == nil {
			return fmt.Errorf("no whole reply: %q", reply)
		}
		ids[m[1]] = true
	}
	if len(ids) != 100 {
		return fmt.Errorf("%d replies, want 100", len(ids))
	}
	return nil
}

// TestSizeLimitDrains shows D12: a client that keeps writing can read the reply about a
// stream that is too large, even over TCP, and gets the earlier replies of its session
// first.
func TestSizeLimitDrains(t *testing.T) {
	w := worlds["limits"]
	clamd, polyclam := started(t, w)
	much := strings.Repeat("x", 4<<20)
	d := dialogue{steps: []step{send("zIDSESSION\x00zINSTREAM\x00" + stream(eicar)), send("zINSTREAM\x00" + chunk(much))}, norm: sorted}
	_, p, reset := playBoth(t, &d, clamd, polyclam, "/nowhere")
	if want := closed("1: stream: " + eicarName + " FOUND\x002: INSTREAM size limit exceeded. ERROR\x00"); p != want || reset {
		t.Errorf("polyclam %v, reset %v; want %v", p, reset, want)
	}
	clamdResets := 0
	for range 10 {
		if err := writeAll(t, "unix", clamd.Socket, much); err != nil {
			clamdResets++
		}
		for network, address := range map[string]string{"unix": polyclam.Socket, "tcp": polyclam.TCP} {
			if err := writeAll(t, network, address, much); err != nil {
				t.Errorf("polyclam over %s: %v", network, err)
			}
		}
	}
	if clamdResets == 0 {
		t.Error("D12 is stale: clamd took everything")
	}
}

// writeAll writes a stream that is too large, like a client that reads only after it
// has written everything. The error is what it met.
func writeAll(t *testing.T, network, address, content string) error {
	t.Helper()
	c, err := connect(t.Context(), network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(hang))
	if _, err := io.WriteString(c, "zINSTREAM\x00"+stream(content)); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	reply, err := io.ReadAll(c)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if want := []byte("INSTREAM size limit exceeded. ERROR\x00"); !bytes.Equal(reply, want) {
		return fmt.Errorf("reply %q", reply)
	}
	return nil
}

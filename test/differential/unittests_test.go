package differential

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What clamd's own tests of the socket check, rewritten: the tables, framings and loads
// are theirs. Their 24 tests of FILDES close the descriptor before or after the reply,
// which no server sees. They are 12 dialogues here.

// unitCommand is a command that the tests send outside a session.
type unitCommand struct {
	command string
	extra   string // sent after it
	bare    bool   // known without a prefix
}

func unitCommands(f *fixture) []unitCommand {
	rows := []unitCommand{
		{"PING", "", true}, {"RELOAD", "", true}, {"SELFCHECK", "", false}, {"VERSION", "", true}, {"VERSIONCOMMANDS", "", false},
		{"RANDOM", "", true}, {"END", "", true}, {"SCAN", "", true}, {"CONTSCAN", "", true}, {"MULTISCAN", "", true},
		{"INSTREAM", "\xff\xff\xff\xff", false}, {"FILDES", "X", true},
	}
	for _, verb := range []string{"SCAN", "CONTSCAN", "MULTISCAN"} {
		for _, name := range []string{"eicar", "clean", "missing"} {
			rows = append(rows, unitCommand{verb + " " + f.path(name), "", true})
		}
	}
	return rows
}

func unitDialogues(f *fixture) []dialogue {
	var ds []dialogue
	add := func(name string, c unitCommand, packet string) {
		steps := []step{send(packet)}
		if c.extra != "" && (c.bare || packet[0] == 'z' || packet[0] == 'n') {
			steps = append(steps, send(c.extra))
		}
		d := dialogue{name: "unit/" + name + "/" + strings.ReplaceAll(c.command, f.dir, "F"), steps: append(steps, half)}
		if c.command == "RELOAD" {
			d.world = "reload"
		}
		term := packet[len(packet)-1:]
		switch prefixed := packet[0] == 'z' || packet[0] == 'n'; {
		case c.command == "SELFCHECK" && prefixed:
			d.deviation, d.want = "D28", []outcome{closed("DBUPTODATE" + term)}
		case c.command == "VERSIONCOMMANDS" && prefixed:
			d.deviation, d.want = "D20", []outcome{closed(versionCommands + term)}
		}
		ds = append(ds, d)
	}
	for _, c := range unitCommands(f) {
		add("n", c, "n"+c.command+"\n")
		add("z", c, "z"+c.command+"\x00")
		add("bare", c, c.command+"\n")
		if c.extra == "" || !c.bare {
			add("bare, one packet", c, c.command)
			add("bare, crlf", c, c.command+"\r\n")
		}
	}
	for _, name := range []string{"eicar", "clean"} {
		for _, fr := range framings {
			command := fr.prefix + "FILDES" + fr.end
			ds = append(ds,
				dialogue{name: "unit/FILDES, one message/" + fr.name + "/" + name, norm: fdNumber, steps: []step{sendFiles(command+"\x00", f.opened(name))}},
				dialogue{name: "unit/FILDES, two messages/" + fr.name + "/" + name, norm: fdNumber, steps: []step{send(command), sendFiles("\x00", f.opened(name))}})
		}
	}
	return append(ds, unitSessions(f)...)
}

// unitSessions are all commands that a session allows, in one packet, in packets of one
// byte, and with streams between them; and an unexpected descriptor.
func unitSessions(f *fixture) []dialogue {
	const begin = "zIDSESSION\x00"
	scans := "zSCAN " + f.path("eicar") + "\x00zSCAN " + f.path("clean") + "\x00"
	streams := "zINSTREAM\x00" + stream(eicar) + "zINSTREAM\x00" + stream(strings.Repeat("Z", 16<<10))
	all := "zPING\x00zVERSION\x00" + scans + "zSCAN " + f.path("missing") + "\x00zEND\x00"
	with := "zPING\x00zVERSION\x00" + scans + streams + "zSCAN " + f.path("missing") + "\x00zEND\x00"
	ds := []dialogue{
		{name: "unit/STATS", norm: statsShape, steps: []step{send("nSTATS\n")}},
		{name: "unit/INSTREAM", steps: []step{send("nINSTREAM\n" + stream(eicar))}},
		{name: "unit/session", norm: sorted, steps: []step{send(begin), send(all)}},
		{name: "unit/session, byte by byte", norm: sorted, steps: []step{send(begin), pieces(strings.Split(all, "")...)}},
		{name: "unit/session, streams", norm: sorted, steps: []step{send(begin), send(with)}},
		{name: "unit/descriptor beside IDSESSION and NUL", steps: []step{sendFiles(begin+"\x00", f.opened("eicar"))}},
	}
	for name, s := range map[string]string{"nIDSESSION and NUL": "nIDSESSION\n\x00", "IDSESSION and bytes": begin + "x", "IDSESSION and newline": begin + "\n"} {
		ds = append(ds, dialogue{name: "unit/descriptor beside " + name, steps: []step{sendFiles(s, f.opened("eicar"))}})
	}
	for name, s := range map[string]string{"a NUL": "\x00", "bytes": "garbage"} {
		ds = append(ds, dialogue{
			name: "unit/descriptor in a session beside " + name, steps: []step{send("zIDSESSION\x00nPING\n"), await("PONG\n"), sendFiles(s, f.opened("eicar"))},
		}, dialogue{
			name: "unit/descriptor first in a session beside " + name, steps: []step{send("zIDSESSION\x00"), consumed, sendFiles(s, f.opened("eicar"))},
		})
	}
	return ds
}

// TestUnitLoads are the load tests: after each of them PING is answered.
func TestUnitLoads(t *testing.T) {
	f := newFixture(t)
	clamd, polyclam := started(t, world{})
	loads := []struct {
		name string
		run  func(t *testing.T, f *fixture, socket string)
	}{
		{"1,024 descriptors and no read", unitFildesMany},
		{"1,024 VERSIONs in a session", unitSessionStress},
		{"250 connections, then RELOAD", unitConnections},
	}
	for side, socket := range map[string]string{"clamd": clamd.Socket, "polyclam": polyclam.Socket} {
		for _, l := range loads {
			t.Run(side+"/"+l.name, func(t *testing.T) {
				l.run(t, f, socket)
				wantUnitReply(t, socket, "zPING\x00", "PONG\x00")
			})
		}
	}
	t.Logf("count: clamd's unit tests: %d dialogues and %d loads", len(unitDialogues(f)), len(loads))
}

func unitDial(t *testing.T, socket string) *net.UnixConn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	c, err := connect(ctx, "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(hang))
	return c.(*net.UnixConn)
}

func wantUnitReply(t *testing.T, socket, command, want string) {
	t.Helper()
	c := unitDial(t, socket)
	io.WriteString(c, command)
	c.CloseWrite()
	if b, err := io.ReadAll(c); err != nil || string(b) != want {
		t.Errorf("%q: %q, %v", command, b, err)
	}
}

// unitFildesMany may be cut off, but must not be kept waiting.
func unitFildesMany(t *testing.T, f *fixture, socket string) {
	file, err := f.opened("eicar")()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	c := unitDial(t, socket)
	begin := time.Now()
	io.WriteString(c, "zIDSESSION\x00")
	for i := range 1024 {
		_, _, err := c.WriteMsgUnix([]byte("zFILDES\x00\x00"), syscall.UnixRights(int(file.Fd())), nil)
		if err == nil {
			continue
		}
		if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("descriptor %d: %v", i, err)
		}
		t.Logf("count: cut off after %d descriptors and %v", i, time.Since(begin).Round(time.Millisecond))
		break
	}
	io.WriteString(c, "zEND\x00")
	c.Close()
}

func unitSessionStress(t *testing.T, f *fixture, socket string) {
	c := unitDial(t, socket)
	io.WriteString(c, "zIDSESSION\x00")
	for i := range 1024 {
		io.WriteString(c, "zVERSION\x00")
		want := fmt.Sprintf("%d: ClamAV 1.4.6\x00", i+1)
		b := make([]byte, len(want))
		if _, err := io.ReadFull(c, b); err != nil || string(b) != want {
			t.Fatalf("%q, %v; want %q", b, err, want)
		}
	}
}

func unitConnections(t *testing.T, f *fixture, socket string) {
	var open []net.Conn
	for range 250 {
		open = append(open, unitDial(t, socket))
	}
	for _, c := range open {
		c.Close()
	}
	for range 10 {
		wantUnitReply(t, socket, "RELOAD", "RELOADING\n")
	}
}

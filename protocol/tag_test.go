package protocol

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
)

func TestValidTag(t *testing.T) {
	for tag, want := range map[string]bool{
		"4dLk2x0Cj9z1x": true, "1uXyz-000000001aB-2CdE": true, "4B1B21A0F5": true, "5ASH9m1x012345": true, "12345-01/ab+_-": true,
		"<a.b@host.example>": true, "~": true, "!": true, strings.Repeat("x", 128): true,
		"": false, " ": false, "a b": false, "a\tb": false, "a\nb": false, "a\x00": false, "\x7f": false, "ä": false, "\x1b[1m": false,
		strings.Repeat("x", 129): false,
	} {
		if got := ValidTag(tag); got != want {
			t.Errorf("%q: %v", tag, got)
		}
	}
}

func TestParseTag(t *testing.T) {
	for send, want := range map[string]Command{
		"zXTAG a\x00":      {Verb: VerbXTag, Arg: "a", Prefixed: true},
		"nXTAG a\r\n":      {Verb: VerbXTag, Arg: "a", Term: '\n', Prefixed: true},
		"zXTAG  a b\n\x00": {Verb: VerbXTag, Arg: " a b\n", Prefixed: true},
		"zXTAG \x00":       {Verb: VerbXTag, Prefixed: true},
		"zXTAG\x00":        {Prefixed: true},
		"zXTAGa\x00":       {Prefixed: true},
		"zXTAG\ta\x00":     {Prefixed: true},
		"XTAG a\n":         {Term: '\n'},
	} {
		if got, n := cut([]byte(send)); got != want || n != len(send) {
			t.Errorf("%q: %+v", send, got)
		}
	}
}

// TestClientTag checks that a client sends its id and the command together.
func TestClientTag(t *testing.T) {
	long := strings.Repeat("x", maxTag)
	for tag, want := range map[string]string{"queue-1": "queue-1", long: long, "": "", "a b": "", "a\x00zSHUTDOWN": ""} {
		ctx := WithTag(testContext(t), tag)
		c := playServer(t, "unix", func(nc net.Conn) {
			conn := NewConn(nc)
			cmd, err := conn.ReadCommand()
			got := ""
			if cmd.Verb == VerbXTag {
				got = cmd.Arg
				cmd, err = conn.ReadCommand()
			}
			if err != nil || got != want {
				t.Errorf("%q: id %q, then %+v, %v", tag, got, cmd, err)
				return
			}
			switch cmd.Verb {
			case VerbXInstream:
				var b bytes.Buffer
				if _, err := conn.Stream(1<<20, hang).WriteTo(&b); err != nil || b.Len() != chunkData+1 {
					t.Errorf("%q: %d bytes, %v", tag, b.Len(), err)
				}
				io.WriteString(nc, "stream: OK\x00END\x00")
			case VerbFildes:
				if f, err := conn.Descriptor(); err != nil {
					t.Errorf("%q: %v", tag, err)
				} else {
					f.Close()
				}
				io.WriteString(nc, "fd[5]: OK\x00")
			default:
				io.WriteString(nc, "/p: OK\x00")
			}
		})
		if r, err := c.XInstream(ctx, bytes.NewReader(make([]byte, chunkData+1))); err != nil || !r.OK() {
			t.Errorf("%q: %+v, %v", tag, r, err)
		}
		if _, err := c.Fildes(ctx, tempFile(t, "x", os.O_RDONLY)); err != nil {
			t.Errorf("%q: %v", tag, err)
		}
		if _, err := c.Scan(ctx, "/p"); err != nil {
			t.Errorf("%q: %v", tag, err)
		}
	}
}

// TestClientTagUnknown checks the error of a server that does not know XTAG.
func TestClientTagUnknown(t *testing.T) {
	c := answering(t, "UNKNOWN COMMAND\x00")
	if _, err := c.Instream(WithTag(testContext(t), "a"), strings.NewReader("x")); !errors.Is(err, ErrUnknownCommand) {
		t.Errorf("got %v", err)
	}
}

func TestClientTagTrace(t *testing.T) {
	var b strings.Builder
	ctx := WithClientTrace(WithTag(testContext(t), "a"), traced(&b))
	if _, err := answering(t, "stream: OK\x00").Instream(ctx, strings.NewReader("hello")); err != nil {
		t.Fatal(err)
	}
	if want := "sent \"zXTAG a\\x00zINSTREAM\\x00\" and 5, <nil>\n"; !strings.Contains(b.String(), want) {
		t.Errorf("got %s", b.String())
	}
}

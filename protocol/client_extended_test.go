package protocol

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"polyclam/protocol/extended"
	"strings"
	"syscall"
	"testing"
)

func TestExtended(t *testing.T) {
	const engine, summary = "stream: engine=a category=ok ENGINE\x00", "stream: category=ok version=1 SUMMARY\x00"
	tests := []struct {
		name, reply string
		records     int
		err         error
	}{
		{"whole", "stream: OK\x00" + engine + engine + summary + "END\x00", 3, nil},
		{"error", "stream: scan failed ERROR\x00" + engine + summary + "END\x00", 2, new(ReplyError)},
		{"clamd", "UNKNOWN COMMAND\x00", 0, ErrUnknownCommand},
		{"limit", "INSTREAM size limit exceeded. ERROR\x00", 0, ErrInstreamLimit},
		{"limit and END", "INSTREAM size limit exceeded. ERROR\x00END\x00", 0, ErrInstreamLimit},
		{"no END", "stream: OK\x00" + engine + summary, 2, ErrBrokenReply},
		{"half", "stream: OK\x00" + engine[:9], 0, ErrBrokenReply},
		{"only END", "END\x00", 0, ErrReplySyntax},
		{"records only", engine + "END\x00", 0, ErrReplySyntax},
		{"nothing", "", 0, ErrNoReply},
		{"two", "stream: OK\x00stream: OK\x00END\x00", 0, ErrUnexpectedReply},
		{"wrong record", "stream: OK\x00stream: x ENGINE\x00END\x00", 0, ErrReplySyntax},
		{"many", "stream: OK\x00" + strings.Repeat(engine, maxRecords+1) + "END\x00", maxRecords, errReplyTooLong},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := playServer(t, "unix", func(nc net.Conn) {
				if cmd := readZ(nc); cmd != "zXINSTREAM" {
					t.Errorf("command %q", cmd)
				}
				readChunks(nc)
				io.WriteString(nc, tt.reply)
			})
			r, err := c.XInstream(testContext(t), strings.NewReader("x"))
			var answer *ReplyError
			right := errors.Is(err, tt.err)
			if _, any := tt.err.(*ReplyError); any {
				right = errors.As(err, &answer)
			}
			if !right || len(r.Records) != tt.records || (err == nil) != r.OK() {
				t.Errorf("got %+v, %d records, %v", r.Reply, len(r.Records), err)
			}
		})
	}
}

func TestXContScan(t *testing.T) {
	c := answering(t, "/d/a: X FOUND\x00/d/a: engine=x ENGINE\x00/d/a: SUMMARY\x00/d: OK\x00/d: SUMMARY\x00END\x00")
	var got []string
	for r, err := range c.XContScan(testContext(t), "/d") {
		if err != nil {
			t.Error(err)
		}
		got = append(got, r.String())
		for _, rec := range r.Records {
			got = append(got, rec.String())
		}
	}
	want := "/d/a: X FOUND|/d/a: engine=x ENGINE|/d/a: SUMMARY|/d: OK|/d: SUMMARY"
	if strings.Join(got, "|") != want {
		t.Errorf("got %q", got)
	}
}

func TestXScanAndXFildes(t *testing.T) {
	ctx := testContext(t)
	r, err := answering(t, "/p: X FOUND\x00/p: engine=a ENGINE\x00END\x00").XScan(ctx, "/p")
	if err != nil || !r.Found() || len(r.Records) != 1 || r.Records[0].Get("engine") != "a" {
		t.Errorf("got %+v, %v", r, err)
	}
	if r, err := answering(t, "/p/q: OK\x00END\x00").XScan(ctx, "/p"); !errors.Is(err, ErrReplySyntax) {
		t.Errorf("an OK about another file: got %+v, %v", r, err)
	}
	c := playServer(t, "unix", func(nc net.Conn) {
		cmd, fds := takeDescriptor(nc)
		for _, fd := range fds {
			syscall.Close(fd)
		}
		if cmd == "zXFILDES\x00\x00" && len(fds) == 1 {
			io.WriteString(nc, "fd[3]: OK\x00fd[3]: SUMMARY\x00END\x00")
		}
	})
	r, err = c.XFildes(ctx, tempFile(t, "x", os.O_RDONLY))
	if err != nil || !r.OK() || len(r.Records) != 1 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestXStatus(t *testing.T) {
	const server, node = "status: version=1.0 SERVER\x00", "status: engine=clamav state=up reason=\"a \\x1b\" NODE\x00"
	for _, c := range []struct {
		name, answer string
		want         []string // the words of the records
		err          error
	}{
		{"all", server + node + node + "END\x00", []string{"SERVER", "NODE", "NODE"}, nil},
		{"no node", server + "END\x00", []string{"SERVER"}, nil},
		{"clamd", "UNKNOWN COMMAND\x00", nil, ErrUnknownCommand},
		{"nothing", "", nil, ErrNoReply},
		{"only END", "END\x00", nil, ErrReplySyntax},
		{"no END", server + node, nil, ErrBrokenReply},
		{"half a record", server + node[:20], nil, ErrBrokenReply},
		{"a status line", "stream: OK\x00", nil, ErrReplySyntax},
		{"an error after records", server + "UNKNOWN COMMAND\x00", nil, ErrUnknownCommand},
		{"garbage", server + "\xff\xfe: x\x00", nil, ErrReplySyntax},
		{"too many", strings.Repeat(server, maxRecords+1) + "END\x00", nil, errReplyTooLong},
		{"too long", "status: a=" + strings.Repeat("b", maxReply) + " SERVER\x00", nil, errReplyTooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked := make(chan string, 1)
			client := playServer(t, "unix", func(nc net.Conn) {
				asked <- readZ(nc)
				io.WriteString(nc, c.answer)
			})
			records, err := client.XStatus(t.Context())
			if !errors.Is(err, c.err) || len(records) != len(c.want) {
				t.Fatalf("XStatus = %v, %v; want %v, %v", records, err, c.want, c.err)
			}
			for i, r := range records {
				if r.Word != c.want[i] || r.Object != "status" {
					t.Errorf("record %d is %+v, want a %s", i, r, c.want[i])
				}
			}
			if got := <-asked; got != "zXSTATUS" && got != "zXSTATUS\x00" {
				t.Errorf("asked %q", got)
			}
		})
	}
}

func TestXStatusEndsWithItsContext(t *testing.T) {
	done := make(chan struct{})
	ctx, cancel := context.WithCancelCause(t.Context())
	client := playServer(t, "unix", func(nc net.Conn) {
		io.WriteString(nc, "status: version=1.0 SERVER\x00")
		cancel(errors.New("enough"))
		<-done
	})
	defer close(done)
	if records, err := client.XStatus(ctx); records != nil || err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("XStatus = %v, %v; want the context's cause", records, err)
	}
}

// TestRecordBytes checks that the size of the records of a reply is bounded too.
func TestRecordBytes(t *testing.T) {
	g := group{q: &request{object: ObjectStream}}
	if _, err := g.add("stream: OK"); err != nil {
		t.Fatal(err)
	}
	line := extended.Record{Object: "stream", Fields: []extended.Field{{Key: "msg", Value: strings.Repeat("x", 32<<10)}}, Word: "ENGINE"}.String()
	for range maxRecordBytes/len(line) + 1 {
		if _, err := g.add(line); err != nil {
			if !errors.Is(err, errReplyTooLong) {
				t.Errorf("got %v", err)
			}
			return
		}
	}
	t.Error("more than the limit was kept")
}

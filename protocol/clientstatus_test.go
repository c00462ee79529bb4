package protocol

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

func TestXStatus(t *testing.T) {
	const server, node = "status: version=1.0 SERVER\x00", "status: engine=clamav state=up reason=\"a \\x1b\" NODE\x00"
	for _, c := range []struct {
		name, answer string
		want         []string // the records' words
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
		{"an error behind records", server + "UNKNOWN COMMAND\x00", nil, ErrUnknownCommand},
		{"garbage", server + "\xff\xfe: x\x00", nil, ErrReplySyntax},
		{"too many", strings.Repeat(server, maxRecords+1) + "END\x00", nil, ErrReplyTooLong},
		{"too long", "status: a=" + strings.Repeat("b", maxReply) + " SERVER\x00", nil, ErrReplyTooLong},
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

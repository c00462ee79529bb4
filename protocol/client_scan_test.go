package protocol

import (
	"context"
	"errors"
	"io"
	"iter"
	"net"
	"strings"
	"sync/atomic"
	"testing"
)

func TestPathsThatCannotBeSent(t *testing.T) {
	c := &Client{Network: "unix", Address: "/nonexistent/socket"}
	ctx := testContext(t)
	longest := strings.Repeat("x", maxCommand-len("zALLMATCHSCAN \x00"))
	for _, path := range []string{"", "/a\x00b", longest + "x", strings.Repeat("x", 1<<20)} {
		_, err1 := c.Scan(ctx, path)
		_, err2 := last(c.AllMatchScan(ctx, path))
		_, err3 := c.XScan(ctx, path)
		_, err4 := last(c.XContScan(ctx, path))
		for i, err := range []error{err1, err2, err3, err4} {
			if path == longest+"x" && i != 1 {
				continue // the other verbs are shorter
			}
			if !errors.Is(err, ErrPath) {
				t.Errorf("request %d of %d bytes: got %v", i, len(path), err)
			}
		}
	}
	if _, err := last(c.AllMatchScan(ctx, longest)); errors.Is(err, ErrPath) {
		t.Errorf("the longest path: %v", err)
	}
}

// last returns the number of iterations and the error of the last one.
func last[T any](lines iter.Seq2[T, error]) (n int, err error) {
	for _, err = range lines {
		n++
	}
	return n, err
}

// errAnswer means a *ReplyError that wraps nothing.
var errAnswer = errors.New("an answer")

func TestScan(t *testing.T) {
	const early = "/p/b: Access denied. ERROR\x00"
	tests := []struct {
		name, reply string
		want        string // the reply; or
		err         error
	}{
		{"clean", "/p: OK\x00", "/p: OK", nil},
		{"found", "/p: X FOUND\x00", "/p: X FOUND", nil},
		{"found below", "/p/q: X FOUND\x00", "/p/q: X FOUND", nil},
		{"excluded", "/p: Excluded\x00", "/p: Excluded", errAnswer},
		{"nothing", "", "", ErrNoReply},
		{"another", "/q: OK\x00", "", ErrReplySyntax},
		{"OK below", "/p/q: OK\x00", "", ErrReplySyntax},
		{"two OK", "/p: OK\x00/p: OK\x00", "", ErrUnexpectedReply},
		{"OK and found", "/p: OK\x00/p: X FOUND\x00", "/p: X FOUND", ErrUnexpectedReply},
		{"found and OK", "/p: X FOUND\x00/p: OK\x00", "/p: X FOUND", ErrUnexpectedReply},
		{"found twice", "/p: X FOUND\x00/p: Y FOUND\x00", "/p: X FOUND", ErrUnexpectedReply},
		{"found, then cut off", "/p: X FOUND\x00/p", "/p: X FOUND", ErrBrokenReply},
		{"unknown", "UNKNOWN COMMAND\x00", "UNKNOWN COMMAND", ErrUnknownCommand},
		{"half", "/p: OK\x00/p", "", ErrBrokenReply},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := answering(t, tt.reply).Scan(testContext(t), "/p")
			if tt.err == errAnswer && errors.As(err, new(*ReplyError)) {
				err = errAnswer
			}
			if !errors.Is(err, tt.err) || (err == nil || r.Found()) && r.String() != tt.want {
				t.Errorf("got %v, %v", r, err)
			}
		})
	}
	for reply, want := range map[string]string{
		early + "/p: OK\x00":        "Access denied.", // of the error
		early + "/p/c: X FOUND\x00": "X",
		"/p/c: X FOUND\x00" + early: "X",
	} {
		var answer *ReplyError
		r, err := answering(t, reply).Scan(testContext(t), "/p")
		if !errors.As(err, &answer) || answer.Reply.Text != "Access denied." || r.Text != want {
			t.Errorf("%q: got %v, %v", reply, r, err)
		}
	}
}

func TestScanSends(t *testing.T) {
	var got atomic.Value
	c := playServer(t, "unix", func(nc net.Conn) {
		got.Store(readZ(nc))
		io.WriteString(nc, "/a\nb: X FOUND\x00/a\nb: X FOUND\x00")
	})
	ctx := testContext(t)
	for verb, scan := range map[string]func(context.Context, string) iter.Seq2[Reply, error]{
		"CONTSCAN": c.ContScan, "MULTISCAN": c.MultiScan, "ALLMATCHSCAN": c.AllMatchScan,
	} {
		if n, err := last(scan(ctx, "/a\nb")); err != nil || n != 2 || got.Load() != "z"+verb+" /a\nb" {
			t.Errorf("%s: %q, %d replies, %v", verb, got.Load(), n, err)
		}
	}
	for range c.ContScan(ctx, "/a\nb") {
		break
	}
}

// TestContScanErrors checks that an ERROR line does not end the scan, and that anything
// malformed does.
func TestContScanErrors(t *testing.T) {
	c := answering(t, "/p/a: Access denied. ERROR\x00/p/b: OK\x00/p/c: X FOUND\x00nonsense\x00/p/d: OK\x00")
	var got []string
	for r, err := range c.ContScan(testContext(t), "/p") {
		outcome := "nil"
		switch {
		case errors.As(err, new(*ReplyError)):
			outcome = "answer"
		case errors.Is(err, ErrReplySyntax):
			outcome = "syntax"
		case err != nil:
			outcome = err.Error()
		}
		got = append(got, r.String()+"="+outcome)
	}
	want := "/p/a: Access denied. ERROR=answer|/p/b: OK=nil|/p/c: X FOUND=nil|=syntax"
	if strings.Join(got, "|") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

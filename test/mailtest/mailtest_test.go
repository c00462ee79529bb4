package mailtest

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/mail"
	"strings"
	"testing"
	"time"
)

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestMessage(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 100)
	m, err := mail.ReadMessage(bytes.NewReader(Message("id-1", Attachment{Name: `a "b" ü.zip`, Type: "application/zip", Data: data})))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Header.Get("Message-ID"); got != "<id-1@sender.example>" {
		t.Errorf("Message-ID is %q", got)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	if _, err := parts.NextPart(); err != nil {
		t.Fatal(err)
	}
	part, err := parts.NextPart()
	if err != nil {
		t.Fatal(err)
	}
	if got := part.FileName(); got != `a "b" ü.zip` {
		t.Errorf("the file's name is %q", got)
	}
	got, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, part))
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("the file came out as %d bytes, %v", len(got), err)
	}
	if _, err := parts.NextPart(); err != io.EOF {
		t.Errorf("a third part: %v", err)
	}
}

func TestSink(t *testing.T) {
	sink := StartSink(t)
	for _, id := range []string{"one", "two"} {
		reply, err := Send(within(t), sink.Address, Message(id, Attachment{Name: "dots", Data: []byte(".\r\n.\r\n")}))
		if err != nil || reply.Code != 250 {
			t.Fatalf("got %v, %v", reply, err)
		}
	}
	m := sink.Wait(t, "two")
	if m.From != Sender || len(m.To) != 1 || m.To[0] != Recipient {
		t.Errorf("came from %q to %q", m.From, m.To)
	}
	if !sink.Has("one") || sink.Has("three") || len(sink.Mails()) != 2 {
		t.Errorf("has %d mails", len(sink.Mails()))
	}
	if _, err := Send(within(t), sink.Address, []byte("Message-ID: <bare@x>\n\n.\n..\nend\n")); err != nil {
		t.Fatal(err)
	}
	if m := sink.Wait(t, "bare"); !strings.HasSuffix(string(m.Data), "\r\n\r\n.\r\n..\r\nend\r\n") {
		t.Errorf("came as %q", m.Data)
	}
}

// script is an SMTP server for one connection that sends its lines, one for each line
// or mail from the client. It ends after the last.
func script(t *testing.T, lines ...string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(patience))
		for i, line := range lines {
			if i > 0 {
				nc.Read(make([]byte, 64<<10))
			}
			io.WriteString(nc, line)
		}
	}()
	return l.Addr().String()
}

func TestSendReplies(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lines []string
		code  int
		text  string
	}{
		{"greeting", []string{"421 busy\r\n"}, 421, "busy"},
		{"EHLO", []string{"220 hello\r\n", "550-no\r\n550 never\r\n"}, 550, "no\nnever"},
		{"MAIL", []string{"220 hello\r\n", "250-a\r\n250 b\r\n", "451 later\r\n"}, 451, "later"},
		{"DATA", []string{"220 hello\r\n", "250 a\r\n", "250 b\r\n", "250 c\r\n", "554 none\r\n"}, 554, "none"},
		{"mail", []string{"220 hello\r\n", "250 a\r\n", "250 b\r\n", "250 c\r\n", "354 go\r\n", "451 4.7.1 scanner\r\n"}, 451, "4.7.1 scanner"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reply, err := Send(within(t), script(t, tt.lines...), Message("x"))
			if err != nil || reply.Code != tt.code || reply.Text != tt.text {
				t.Errorf("got %v, %v", reply, err)
			}
		})
	}
}

func TestSendFails(t *testing.T) {
	for name, lines := range map[string][]string{
		"closed": {""}, "half a reply": {"220 hel"}, "garbage": {"hello\r\n"}, "wrong class": {"354 go\r\n"},
		"closed after the mail": {"220 hello\r\n", "250 a\r\n", "250 b\r\n", "250 c\r\n", "354 go\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if reply, err := Send(within(t), script(t, lines...), Message("x")); err == nil {
				t.Errorf("got %v and no error", reply)
			}
		})
	}
	t.Run("silent", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		if reply, err := Send(ctx, l.Addr().String(), Message("x")); err == nil {
			t.Errorf("got %v and no error", reply)
		}
	})
}

package mailtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/textproto"
)

// Reply is the answer to a mail: the final one if the server accepted the mail, else
// that of the command it refused.
type Reply struct {
	Code int    // 250, or 4xx, or 5xx
	Text string // the text after the code; lines are joined by "\n"
}

// String returns the reply as SMTP writes it.
func (r Reply) String() string { return fmt.Sprintf("%d %s", r.Code, r.Text) }

// Send sends a mail by SMTP to address, "host:port", from [Sender] to [Recipient]. An
// error means that there was no answer: no connection, a broken one, or the end of ctx.
// A refusal is not an error.
func Send(ctx context.Context, address string, mail []byte) (Reply, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return Reply{}, err
	}
	return SendOn(ctx, nc, mail)
}

// SendOn is [Send] on a connection, which it closes.
func SendOn(ctx context.Context, nc net.Conn, mail []byte) (Reply, error) {
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	defer stop()
	c := textproto.NewConn(nc)
	defer c.Close()
	reply, err := dialogue(c, mail)
	if ctx.Err() != nil {
		return Reply{}, fmt.Errorf("smtp %s: %w", nc.RemoteAddr(), context.Cause(ctx))
	}
	if err != nil {
		return Reply{}, fmt.Errorf("smtp %s: %w", nc.RemoteAddr(), err)
	}
	return reply, nil
}

// dialogue ends with the reply to the mail, or with the first refusal.
func dialogue(c *textproto.Conn, mail []byte) (Reply, error) {
	if reply, err := read(c, 2); err != nil || reply.Code >= 400 {
		return reply, err
	}
	for _, step := range []struct {
		command string
		class   int
	}{
		{"EHLO sender.example", 2}, {"MAIL FROM:<" + Sender + ">", 2}, {"RCPT TO:<" + Recipient + ">", 2}, {"DATA", 3},
	} {
		if err := c.PrintfLine("%s", step.command); err != nil {
			return Reply{}, err
		}
		if reply, err := read(c, step.class); err != nil || reply.Code >= 400 {
			return reply, err
		}
	}
	w := c.DotWriter()
	// A server that refuses the mail in the middle closes the connection. Its reply can
	// still be read.
	_, writeErr := w.Write(mail)
	closeErr := w.Close()
	reply, err := read(c, 2)
	if err != nil {
		return Reply{}, errors.Join(err, writeErr, closeErr)
	}
	c.PrintfLine("QUIT")
	return reply, nil
}

// read reads a reply of the class 2 or 3, or a refusal.
func read(c *textproto.Conn, class int) (Reply, error) {
	code, text, err := c.ReadResponse(class)
	var refusal *textproto.Error
	if errors.As(err, &refusal) && code >= 400 && code < 600 {
		return Reply{Code: code, Text: text}, nil
	}
	return Reply{Code: code, Text: text}, err
}

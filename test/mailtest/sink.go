package mailtest

import (
	"bytes"
	"errors"
	"io"
	"log"
	"net"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// patience bounds every wait. It measures nothing: it only catches a hang.
const patience = 60 * time.Second

// poll is the interval of polling.
const poll = 20 * time.Millisecond

// Mail is a mail that a sink received.
type Mail struct {
	ID     string // its X-Test-Id, else its Message-ID up to the @; empty if it has neither
	From   string // envelope sender, empty for a bounce
	To     []string
	Header mail.Header // nil if it cannot be parsed
	Data   []byte      // the whole mail with its header, as received
}

// Sink is an SMTP server that accepts everything and keeps it. It is safe for
// concurrent use.
type Sink struct {
	Address string // "127.0.0.1:port"

	mu    sync.Mutex
	mails []Mail
}

// StartSink starts a sink on a free port. It ends at the test's cleanup.
func StartSink(t testing.TB) *Sink {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return StartSinkOn(t, l)
}

// StartSinkOn is [StartSink] on a listener, for example one in another network namespace.
func StartSinkOn(t testing.TB, l net.Listener) *Sink {
	t.Helper()
	s := &Sink{Address: l.Addr().String()}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &delivery{sink: s}, nil }))
	server.Domain = "sink.example"
	server.ReadTimeout, server.WriteTimeout = patience, patience
	// The sink does not care what a client does to its connection.
	server.ErrorLog = log.New(io.Discard, "", 0)
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-done; err != nil && !errors.Is(err, smtp.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			t.Errorf("sink: %v", err)
		}
	})
	return s
}

// Mails returns all mails so far, in the order they arrived.
func (s *Sink) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

// Has reports whether the mail with this ID has arrived. If not, it may still arrive:
// see [Postfix.WaitEmpty].
func (s *Sink) Has(id string) bool {
	_, ok := s.find(id)
	return ok
}

// Wait waits for the mail with this ID and returns it. The test fails if it does not
// arrive.
func (s *Sink) Wait(t testing.TB, id string) Mail {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(poll) {
		if m, ok := s.find(id); ok {
			return m
		}
	}
	var ids []string
	for _, m := range s.Mails() {
		ids = append(ids, m.ID)
	}
	t.Fatalf("the mail %q did not come within %v; these did: %q", id, patience, ids)
	return Mail{}
}

func (s *Sink) find(id string) (Mail, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.mails, func(m Mail) bool { return m.ID == id })
	if i < 0 {
		return Mail{}, false
	}
	return s.mails[i], true
}

func (s *Sink) add(m Mail) {
	if parsed, err := mail.ReadMessage(bytes.NewReader(m.Data)); err == nil {
		m.Header = parsed.Header
		m.ID = m.Header.Get(idHeader)
		if m.ID == "" {
			m.ID, _, _ = strings.Cut(strings.Trim(m.Header.Get("Message-Id"), "<> "), "@")
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, m)
}

// delivery is one client's session with a sink.
type delivery struct {
	sink *Sink
	mail Mail
}

func (d *delivery) Mail(from string, _ *smtp.MailOptions) error {
	d.mail = Mail{From: from}
	return nil
}

func (d *delivery) Rcpt(to string, _ *smtp.RcptOptions) error {
	d.mail.To = append(d.mail.To, to)
	return nil
}

func (d *delivery) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	d.mail.Data = data
	d.sink.add(d.mail)
	return nil
}

func (d *delivery) Reset()        { d.mail = Mail{} }
func (d *delivery) Logout() error { return nil }

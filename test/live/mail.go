package live

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"polyclam/backends/testfile"
	"polyclam/test/mailtest"
	"polyclam/test/testkit"
)

// mailInterval is the time between two mails of [MailFlow].
const mailInterval = 400 * time.Millisecond

// The kinds of mail.
const (
	MailClean     = "clean"
	MailEICAR     = "EICAR"
	MailEncrypted = "encrypted"
)

// mailKinds are the kinds, in the order of the tables.
var mailKinds = []string{MailClean, MailEICAR, MailEncrypted}

// A Mail is a mail that was sent, and what happened to it.
type Mail struct {
	ID    string
	Kind  string
	Start time.Time
	Took  time.Duration // until the server's answer to the mail
	Reply mailtest.Reply
	Err   error
}

// MailServer is Debian's Postfix in a machine. It passes mails on to a sink in the test.
type MailServer struct {
	m    *Machine
	sink *mailtest.Sink

	mu   sync.Mutex
	sent int
}

// sinkAddress is where the machine's Postfix delivers everything.
const sinkAddress = "127.0.0.1:2525"

// StartPostfix starts Debian's Postfix with more settings for main.cf, "name=value", and
// waits until it greets. It looks up no names and uses no TLS:
// copying the certificates to its folder takes seconds.
func (m *Machine) StartPostfix(settings ...string) *MailServer {
	m.t.Helper()
	l, err := m.Listen(sinkAddress)
	if err != nil {
		m.t.Fatal(err)
	}
	s := &MailServer{m: m, sink: mailtest.StartSinkOn(m.t, l)}
	settings = append([]string{
		"myhostname=mail.example", "mydestination=", "relayhost=[127.0.0.1]:2525", "inet_interfaces=loopback-only", "inet_protocols=ipv4",
		"smtp_dns_support_level=disabled", "smtp_host_lookup=native", "smtpd_peername_lookup=no",
		"smtpd_tls_security_level=none", "smtp_tls_security_level=none", "smtp_tls_CApath=", "smtpd_client_connection_count_limit=0",
	}, settings...)
	m.Sh("postconf -e '" + strings.Join(settings, "' '") + "'\nsystemctl start postfix.service")
	m.WaitListen("127.0.0.1:25")
	return s
}

// Send sends a mail of a kind and waits for the answer.
func (s *MailServer) Send(kind string) Mail {
	s.mu.Lock()
	s.sent++
	mail := Mail{ID: fmt.Sprintf("mail-%d", s.sent), Kind: kind, Start: time.Now()}
	s.mu.Unlock()
	attached := map[string]mailtest.Attachment{
		MailClean:     {Name: "text.txt", Data: []byte(harmless())},
		MailEICAR:     {Name: "eicar.bin", Data: testfile.EICAR()},
		MailEncrypted: {Name: "secret.zip", Type: "application/zip", Data: testfile.Encrypted()},
	}[kind]
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	nc, err := s.m.Dial(ctx, "tcp", "127.0.0.1:25")
	if err == nil {
		mail.Reply, err = mailtest.SendOn(ctx, nc, mailtest.Message(mail.ID, attached))
	}
	mail.Took, mail.Err = time.Since(mail.Start), err
	return mail
}

// WaitEmpty waits until Postfix has no mail left: every mail with the answer 250 has been
// delivered, or never will be.
func (s *MailServer) WaitEmpty() {
	s.m.t.Helper()
	testkit.Eventually(s.m.t, "Postfix' queue is empty", func() bool {
		return strings.Contains(s.m.enter("", "postqueue", "-p").Stdout, "queue is empty")
	})
}

// Fate is what happened to a mail. Call [MailServer.WaitEmpty] first.
func (s *MailServer) Fate(mail Mail) string {
	delivered := s.sink.Has(mail.ID)
	switch code := mail.Reply.Code; {
	case mail.Err != nil:
		return "lost connection"
	case code/100 == 5:
		return "rejected"
	case code/100 == 4:
		return "tempfailed"
	case code == 250 && delivered:
		return "delivered"
	case code == 250:
		return "discarded"
	default:
		return "answered " + mail.Reply.String()
	}
}

// A MailFlow sends a mail every 400 ms, clean, EICAR and encrypted in turn, without waiting
// for the mails before.
type MailFlow struct {
	server *MailServer
	cancel context.CancelFunc
	ticker sync.WaitGroup
	mails  sync.WaitGroup

	mu   sync.Mutex
	done []Mail
}

// StartFlow starts a flow of mails. It ends at the test's cleanup.
func (s *MailServer) StartFlow() *MailFlow {
	ctx, cancel := context.WithCancel(context.Background())
	f := &MailFlow{server: s, cancel: cancel}
	f.ticker.Go(func() { f.run(ctx) })
	s.m.t.Cleanup(f.Stop)
	return f
}

func (f *MailFlow) run(ctx context.Context) {
	tick := time.NewTicker(mailInterval)
	defer tick.Stop()
	for n := 0; ; n++ {
		kind := mailKinds[n%len(mailKinds)]
		f.mails.Go(func() {
			mail := f.server.Send(kind)
			f.mu.Lock()
			defer f.mu.Unlock()
			f.done = append(f.done, mail)
		})
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Stop sends no more mails, and waits for the answers to those that were sent.
func (f *MailFlow) Stop() {
	f.cancel()
	f.ticker.Wait()
	f.mails.Wait()
}

// Mails returns the mails that were answered, in the order of their answers.
func (f *MailFlow) Mails() []Mail {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.done)
}

package proxy

import (
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"polyclam/protocol"
	"polyclam/proxy/engine"
	"polyclam/proxy/printable"
)

// repeatPause is the least time between two log lines of the same kind about one client.
const repeatPause = time.Minute

// once adds the fields that every line of the request has to the event. It returns nil if a
// line of this kind about this client was logged a moment ago.
func (r *request) once(kind string, level zerolog.Level) *zerolog.Event {
	suppressed, ok := r.s.srv.repeated.Allow(r.s.peer.key, kind)
	if !ok {
		return nil
	}
	e := r.fields(r.s.srv.log.WithLevel(level), r.s.client())
	if suppressed > 0 {
		e = e.Int("suppressed", suppressed)
	}
	return e
}

// logRefusal counts a command that was refused, and writes its log line.
func (r *request) logRefusal(reason string) {
	r.s.srv.tally.commands.Add(1)
	if r.cmd.Arg != "" && r.cmd.Verb != protocol.VerbXTag {
		r.recordNotScanned(lapseOther, r.cmd.Arg, reason, nil)
	}
	e := r.once("refused "+string(r.cmd.Verb)+" "+reason, zerolog.WarnLevel)
	if e == nil {
		return
	}
	if r.cmd.Arg != "" {
		e = e.Str("object", printable.Escape(r.cmd.Arg, maxLoggedPath))
	}
	e.Str("reason", reason).Msg("command refused")
}

// logUnknown counts input that is no command, and writes its log line: how the input
// begins and, if it belongs to another protocol, which one.
func (r *request) logUnknown(reason string) {
	r.s.srv.tally.commands.Add(1)
	input := r.s.conn.Unknown()
	p := foreignProtocol(input)
	if p != nil {
		reason = p.name + " instead of a command"
	}
	e := r.once("unknown "+reason, zerolog.WarnLevel)
	if e == nil {
		return
	}
	if p != nil {
		e = e.Str("hint", p.hint)
	}
	e.Str("input", printable.Escape(input, maxLoggedName)).Str("reason", reason).Msg("command refused")
}

// A foreign protocol is one whose clients reach this port by mistake.
type foreign struct {
	name   string
	begins []string
	hint   string
}

const proxyHint = "a load balancer sends a PROXY protocol header, which polyclamd accepts only from addresses in proxy_protocol of the listener: add the load balancer's address there, or switch the header off (HAProxy: remove send-proxy)"

// foreignProtocols are those that are recognised.
var foreignProtocols = []foreign{
	{"TLS", []string{"\x16\x03"}, "the client starts a TLS handshake, but this port does not use TLS: switch TLS off in the client, or write tls = true in the [[listener]]"},
	{"the PROXY protocol, version 1,", []string{"PROXY TCP4 ", "PROXY TCP6 ", "PROXY UNKNOWN"}, proxyHint},
	{"the PROXY protocol, version 2,", []string{"\r\n\r\n\x00\r\nQUIT\n"}, proxyHint},
	{"ICAP", []string{"REQMOD ", "RESPMOD ", "OPTIONS icap:"}, "the client speaks ICAP: point it at an ICAP server, such as c-icap, that uses polyclamd"},
	{"HTTP", []string{"GET ", "HEAD ", "POST ", "PUT ", "PATCH ", "DELETE ", "OPTIONS ", "CONNECT ", "TRACE ", "PRI * HTTP/2"},
		"the client speaks HTTP, but this port speaks clamd's protocol: a health check must send PING; uploads need an HTTP gateway for clamd"},
	{"SMTP", []string{"EHLO ", "HELO ", "LHLO ", "MAIL FROM:"}, "the client sends mail to this port: correct the address in its configuration"},
	{"SSH", []string{"SSH-"}, "an SSH client or a port scanner connects to this port: correct the client's address, or close the port in the firewall"},
}

// foreignProtocol returns the protocol that the input belongs to, or nil.
func foreignProtocol(input string) *foreign {
	i := slices.IndexFunc(foreignProtocols, func(f foreign) bool {
		return slices.ContainsFunc(f.begins, func(s string) bool { return strings.HasPrefix(input, s) })
	})
	if i < 0 {
		return nil
	}
	return &foreignProtocols[i]
}

// logReload logs who asked for a RELOAD, and which engines load their signatures now.
func (r *request) logReload(engines []*engine.Engine) {
	e := r.once("reload", zerolog.InfoLevel)
	if e == nil {
		return
	}
	var passed, others []string
	for _, u := range engines {
		if u.Reloads() {
			passed = append(passed, printable.Escape(u.Name(), maxLoggedName))
		} else {
			others = append(others, printable.Escape(u.Name(), maxLoggedName))
		}
	}
	e = e.Strs("engines", passed)
	if len(others) > 0 {
		e = e.Strs("cannot_reload", others)
	}
	e.Msg("reload command")
}

package icap

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/test/testkit"
)

// fake is an ICAP server with a scripted answer for each service. Its own parser reads
// the requests, and fails the test for one that RFC 3507 does not allow.
type fake struct {
	tb       testing.TB
	listener net.Listener
	services map[string]service

	mu       sync.Mutex
	conns    int
	requests []received
}

// service answers one request. It returns false to close the connection.
type service func(nc io.Writer, q *received) bool

// received is a request.
type received struct {
	method, service string
	fields          []field
	parts           map[string]string // by name in Encapsulated
	body            []byte
	br              *bufio.Reader // the rest of the request, for a service that reads the body later
	tb              testing.TB
	nth             int // on this connection, from 1
}

const (
	recordedOptions = "ICAP/1.0 200 OK\r\nMethods: RESPMOD, REQMOD\r\nService: C-ICAP/0.5.10 server - Antivirus service\r\n" +
		"ISTag: \"CI0001-L5CkDhq+qWNs+PZ5DxxXsAAA\"\r\nTransfer-Preview: *\r\nOptions-TTL: 3600\r\nDate: Mon, 23 Nov 2026 13:40:09 GMT\r\n" +
		"Preview: 1024\r\nAllow: 204\r\nEncapsulated: null-body=0\r\n\r\n"
	recorded404   = "ICAP/1.0 404 Service not found\r\nServer: C-ICAP/0.5.10\r\nConnection: close\r\n\r\n"
	recorded204   = "ICAP/1.0 204 Unmodified\r\nServer: C-ICAP/0.5.10\r\nConnection: keep-alive\r\nISTag: \"CI0001-L5CkDhq+qWNs+PZ5DxxXsAAA\"\r\n\r\n"
	recorded500   = "ICAP/1.0 500 Server error\r\nServer: C-ICAP/0.5.10\r\nConnection: close\r\nISTag: \"CI0001-L5CkDhq+qWNs+PZ5DxxXsAAA\"\r\n\r\n"
	recordedFound = "ICAP/1.0 200 OK\r\nServer: C-ICAP/0.5.10\r\nConnection: keep-alive\r\nISTag: \"CI0001-L5CkDhq+qWNs+PZ5DxxXsAAA\"\r\n" +
		"X-Infection-Found: Type=0; Resolution=2; Threat=Eicar-Test-Signature-1.UNOFFICIAL;\r\nX-Violations-Found: 1\r\n" +
		"\t-\r\n\tEicar-Test-Signature-1.UNOFFICIAL\r\n\t0\r\n\t0\r\nEncapsulated: res-hdr=0, res-body=161\r\n\r\n" + recordedPage
	recordedPage = "HTTP/1.0 403 Forbidden\r\nServer: C-ICAP\r\nConnection: close\r\nContent-Type: text/html\r\nContent-Language: en\r\n" +
		"Via: ICAP/1.0 vm (C-ICAP/0.5.10 Antivirus service )\r\n\r\n" +
		// The page is shortened; it ends with two NUL bytes.
		"10\r\n<html> </html>\x00\x00\r\n0\r\n\r\n"
)

// found returns c-icap's answer with another name, otherwise byte for byte.
func found(name string) string {
	return strings.ReplaceAll(recordedFound, "Eicar-Test-Signature-1.UNOFFICIAL", name)
}

// says returns a service that reads the whole request and sends the answer.
func says(answer string) service {
	return func(nc io.Writer, q *received) bool {
		q.readBody()
		_, err := io.WriteString(nc, answer)
		icap, _, _ := strings.Cut(answer, "\r\n\r\n")
		return err == nil && !strings.Contains(icap, "Connection: close")
	}
}

// answers are c-icap's.
var answers = map[backends.Category]string{
	backends.OK: recorded204, backends.Virus: recordedFound, backends.SWErr: recorded500,
	backends.Suspicious: found("Heuristics.OLE2.ContainsMacros"), backends.Encrypted: found("Heuristics.Encrypted.Zip"),
	backends.Partial: found("Heuristics.Limits.Exceeded.MaxFiles"),
}

// marked answers by the markers in the object, as c-icap would.
func marked(nc io.Writer, q *received) bool {
	if ieof := q.readBody(); q.get("preview") != "" && !ieof {
		io.WriteString(nc, "ICAP/1.0 100 Continue\r\n\r\n") // recorded
		q.readBody()
	}
	answer := answers[backendtest.Marked(q.body)]
	_, err := io.WriteString(nc, answer)
	return err == nil && answer != recorded500
}

// startFake starts a server with the services. The service named "options" answers every
// OPTIONS request.
func startFake(tb testing.TB, services map[string]service) *fake {
	tb.Helper()
	return serveFake(tb, testkit.Listen(tb, "tcp"), services)
}

func serveFake(tb testing.TB, l net.Listener, services map[string]service) *fake {
	f := &fake{tb: tb, listener: l, services: services}
	testkit.ServeOn(tb, l, f.serve)
	return f
}

func (f *fake) address() string { return testkit.Address(f.listener) }

func (f *fake) connections() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.conns
}

func (f *fake) count(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, q := range f.requests {
		if q.method == method {
			n++
		}
	}
	return n
}

func (f *fake) serve(nc net.Conn) {
	f.mu.Lock()
	f.conns++
	f.mu.Unlock()
	br := bufio.NewReader(nc)
	for nth := 1; ; nth++ {
		q, err := readRequest(f.tb, br)
		if err != nil {
			return
		}
		q.nth = nth
		f.mu.Lock()
		f.requests = append(f.requests, *q)
		f.mu.Unlock()
		s, ok := f.services[q.service]
		if q.method == "OPTIONS" {
			s, ok = f.services["options"], true
			if s == nil {
				s = says(recordedOptions)
			}
		}
		if !ok {
			s = says(recorded404)
		}
		if !s(nc, q) {
			return
		}
	}
}

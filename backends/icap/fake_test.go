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
)

// fake is an ICAP server with a scripted answer for each service. It reads requests
// with a parser of its own and fails the test for one that RFC 3507 does not allow.
type fake struct {
	tb       testing.TB
	listener net.Listener
	services map[string]service
	wg       sync.WaitGroup
	done     chan struct{}

	mu       sync.Mutex
	conns    map[net.Conn]bool
	total    int        // connections
	requests []received // all
}

// service answers one request. It returns false to close the connection.
type service func(nc io.Writer, q *received) bool

// received is a request as it came.
type received struct {
	method, service string
	fields          []field
	parts           map[string]string // by name in Encapsulated
	body            []byte
	br              *bufio.Reader // what is not read yet: the body of a late reader
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
		// The page itself is shortened; it ends in two NUL bytes.
		"10\r\n<html> </html>\x00\x00\r\n0\r\n\r\n"
)

// found is what c-icap sends for a name, byte for byte.
func found(name string) string {
	return strings.ReplaceAll(recordedFound, "Eicar-Test-Signature-1.UNOFFICIAL", name)
}

// says is a service with one answer, which it gives when it has read everything.
func says(answer string) service {
	return func(nc io.Writer, q *received) bool {
		q.readBody()
		_, err := io.WriteString(nc, answer)
		icap, _, _ := strings.Cut(answer, "\r\n\r\n")
		return err == nil && !strings.Contains(icap, "Connection: close")
	}
}

// answers are what c-icap says.
var answers = map[backends.Category]string{
	backends.OK: recorded204, backends.Virus: recordedFound, backends.SWErr: recorded500,
	backends.Suspicious: found("Heuristics.OLE2.ContainsMacros"), backends.Encrypted: found("Heuristics.Encrypted.Zip"),
	backends.Partial: found("Heuristics.Limits.Exceeded.MaxFiles"),
}

// marked answers as the markers in the object say, as c-icap would.
func marked(nc io.Writer, q *received) bool {
	if ieof := q.readBody(); q.get("preview") != "" && !ieof {
		io.WriteString(nc, "ICAP/1.0 100 Continue\r\n\r\n") // recorded
		q.readBody()
	}
	answer := answers[backendtest.Marked(q.body)]
	_, err := io.WriteString(nc, answer)
	return err == nil && answer != recorded500
}

// startFake starts a server with the services; one named "options" answers OPTIONS
// for all of them.
func startFake(tb testing.TB, services map[string]service) *fake {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return serveFake(tb, l, services)
}

func serveFake(tb testing.TB, l net.Listener, services map[string]service) *fake {
	f := &fake{tb: tb, listener: l, services: services, done: make(chan struct{}), conns: map[net.Conn]bool{}}
	f.wg.Go(f.accept)
	tb.Cleanup(f.stop)
	return f
}

func (f *fake) address() string { return "tcp:" + f.listener.Addr().String() }

func (f *fake) connections() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.total
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

func (f *fake) stop() {
	close(f.done)
	f.listener.Close()
	f.mu.Lock()
	for nc := range f.conns {
		nc.Close()
	}
	f.mu.Unlock()
	f.wg.Wait()
}

func (f *fake) accept() {
	for {
		nc, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.conns[nc] = true
		f.total++
		f.mu.Unlock()
		f.wg.Go(func() {
			f.serve(nc)
			nc.Close()
			f.mu.Lock()
			delete(f.conns, nc)
			f.mu.Unlock()
		})
	}
}

func (f *fake) serve(nc net.Conn) {
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

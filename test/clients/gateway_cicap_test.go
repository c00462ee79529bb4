package clients

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"polyclam/test/cicaptest"
	"polyclam/test/clamdtest"
)

var cicapClients = []client{
	cicap(client{name: "c-icap clamd_mod (unix)", recipe: "c-icap.md", listener: "listener", network: "unix"}),
	cicap(client{name: "c-icap clamd_mod (TCP)", recipe: "c-icap.md", listener: "listener-tcp", network: "tcp"}),
}

// cicap is c-icap's virus_scan service with clamd_mod. It passes a descriptor over a
// Unix socket and a path over TCP.
func cicap(c client) client {
	c.but = map[string]outcome{caseOversize: clean}
	c.open = map[string]string{caseOversize: unlimited}
	c.start = func(t *testing.T, at target) scan {
		text := snippet(t, "c-icap.md", "unix")
		if c.network == "tcp" {
			text = snippet(t, "c-icap.md", "tcp")
		}
		server := startCICAP(t, at.fill(text), at.user)
		return func(t *testing.T, s sample) finding { return icapSaid(t, server.Address, s) }
	}
	return c
}

// startCICAP runs a c-icap that knows only the clamd in lines.
func startCICAP(t *testing.T, lines, user string) *cicaptest.Server {
	return cicaptest.Start(t, "/nonexistent/clamd.sock", cicaptest.Options{
		Conf: strings.Split(strings.TrimSpace(lines), "\n"), User: user,
	})
}

// icapSaid scans an object as a proxy would scan a download and translates the answer:
// 204 passes it, a replaced body is what the user sees instead, and an ICAP error makes
// the proxy show its own error page.
func icapSaid(t *testing.T, address string, s sample) finding {
	t.Helper()
	nc, err := net.Dial("tcp", strings.TrimPrefix(address, "tcp:"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(hang))
	if _, err := nc.Write(respmod(nc.RemoteAddr().String(), s)); err != nil {
		t.Fatal(err)
	}
	r := textproto.NewReader(bufio.NewReader(nc))
	status, err := r.ReadLine()
	if err != nil {
		t.Fatal(err)
	}
	header, err := r.ReadMIMEHeader()
	if err != nil && err != io.EOF {
		t.Fatalf("%s: %v", status, err)
	}
	threat := header.Get("X-Infection-Found")
	switch {
	case strings.HasPrefix(status, "ICAP/1.0 204 ") && threat == "":
		return finding{clean, status}
	case strings.HasPrefix(status, "ICAP/1.0 200 ") && threat != "":
		if page, err := r.ReadLine(); err != nil || !strings.HasPrefix(page, "HTTP/1.") || !strings.Contains(page, " 403 ") {
			t.Fatalf("%s, then %q: %v", status, page, err)
		}
		return finding{infected, threat}
	case strings.HasPrefix(status, "ICAP/1.0 5"):
		return finding{refused, status}
	}
	t.Fatalf("%s %v", status, header)
	return finding{}
}

// respmod is the request for an object from a web server. It allows 204 and closes the
// connection afterwards.
func respmod(host string, s sample) []byte {
	request := "GET http://example.org/" + s.name + " HTTP/1.1\r\nHost: example.org\r\n\r\n"
	response := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", len(s.content))
	var b bytes.Buffer
	fmt.Fprintf(&b, "RESPMOD icap://%s/%s ICAP/1.0\r\nHost: %s\r\nAllow: 204\r\nConnection: close\r\n", host, cicaptest.AVScan, host)
	fmt.Fprintf(&b, "Encapsulated: req-hdr=0, res-hdr=%d, res-body=%d\r\n\r\n%s%s", len(request), len(request)+len(response), request, response)
	fmt.Fprintf(&b, "%x\r\n%s\r\n0\r\n\r\n", len(s.content), s.content)
	return b.Bytes()
}

// TestCICAPStartedFirst shows that a c-icap that finds no daemon at its start never
// scans anything, and says so only in its log. The recipe warns of this. When this test
// fails, c-icap has changed, and the recipe can too.
func TestCICAPStartedFirst(t *testing.T) {
	t.Parallel()
	cicaptest.Require(t)
	eicar := sample{name: sampleEICAR, content: []byte(clamdtest.EICAR())}
	at := newTarget(t, client{network: "unix"})
	server := startCICAP(t, at.fill(snippet(t, "c-icap.md", "unix")), "")
	daemon := at.startClamd(t)
	defer daemon.stop()
	if found := icapSaid(t, server.Address, eicar); found.outcome != clean {
		t.Errorf("EICAR: %s (%s), want it let through", found.outcome, found.text)
	}
	server.Stop()
	again := startCICAP(t, at.fill(snippet(t, "c-icap.md", "unix")), "")
	if found := icapSaid(t, again.Address, eicar); found.outcome != infected {
		t.Errorf("EICAR after a restart: %s (%s), want infected", found.outcome, found.text)
	}
}

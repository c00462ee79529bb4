package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/test/testkit"
)

// TestHTTPS has [http] with TLS and client certificates, whose files change.
func TestHTTPS(t *testing.T) {
	dir := testkit.SocketDir(t)
	ca, foreign := testkit.NewAuthority(t), testkit.NewAuthority(t)
	used, next, client := ca.Issue("polyclam.test"), ca.Issue("polyclam.test"), ca.Issue("prometheus.test")
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	table := func(certificate, key string) string {
		return unixListener(filepath.Join(dir, "s")) + "[http]\naddress = \"tcp:" + address + "\"\ntls = true\ncertificate = \"" + certificate + "\"\nkey = \"" + key +
			"\"\nclient_ca = \"" + ca.File + "\"\nclient_names = [\"prometheus.test\"]\n"
	}
	get := func(certificate *testkit.Issued) (serial, body string, err error) {
		conf := &tls.Config{RootCAs: ca.Pool(), ServerName: "polyclam.test"}
		if certificate != nil {
			pair := certificate.Load(t)
			conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		}
		c := http.Client{Timeout: hang, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: conf, ForceAttemptHTTP2: true}}
		answer, err := c.Get("https://" + address + "/metrics")
		if err != nil {
			return "", "", err
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		return answer.TLS.PeerCertificates[0].SerialNumber.String(), answer.Proto + "\n" + string(text), err
	}
	served := func() string {
		t.Helper()
		serial, body, err := get(&client)
		if err != nil || !strings.HasPrefix(body, "HTTP/2.0") || !strings.Contains(body, "polyclam_") {
			t.Fatalf("%.300s, %v", body, err)
		}
		return serial
	}
	conf := writeConfig(t, dir, table(used.Certificate, used.Key))
	d := startDaemon(t, conf, nil)
	first := served()
	for name, i := range map[string]*testkit.Issued{"none": nil, "another name": new(ca.Issue("other.test")), "another authority": new(foreign.Issue("prometheus.test"))} {
		if _, body, err := get(i); err == nil {
			t.Errorf("client certificate: %s: answered with %.100s", name, body)
		}
	}

	move(t, next.Certificate, used.Certificate) // without its key
	testkit.Eventually(t, "the pair is refused", func() bool {
		if served() != first {
			t.Fatal("a pair that does not fit is used")
		}
		return len(d.entries("certificate refused, the old one stays in use")) == 1
	})
	move(t, next.Key, used.Key)
	testkit.Eventually(t, "the new pair is served", func() bool { return served() != first })
	if e := d.waitFor("certificate changed"); e["listener"] != "tcp:"+address || e["certificate"] != used.Certificate {
		t.Errorf("logged %v", e)
	}

	// Bad files stop a check, a start and a reload, and the line is that of the file's key.
	second := served()
	writeConfig(t, dir, table(used.Certificate, "/none/key.pem"))
	d.reload(refused)
	if served() != second {
		t.Error("another certificate after a refused reload")
	}
	c := launch(t, nil, "--check", "--config", conf)
	if status := c.wait(); status != 1 || !strings.Contains(c.stderr.String(), "http.key: /none/key.pem: the directory /none does not exist") {
		t.Errorf("exit status %d\n%s", status, c.stderr.String())
	}
	third := ca.Issue("polyclam.test")
	writeConfig(t, dir, table(third.Certificate, third.Key))
	d.reload(reloaded)
	if served() == second {
		t.Error("the old certificate after a reload")
	}
	os.Chmod(third.Key, 0o644)
	if c = launch(t, nil, "--check", "--config", conf); c.wait() != 0 || !strings.Contains(c.stderr.String(), "http.certificate: every user of this machine can read the private key") {
		t.Errorf("no warning: %s", c.stderr.String())
	}
	d.stop()
}

// TestCheckOfHandshakes checks a configuration that a daemon has already, with listeners that
// do not begin with clamd's protocol, and the same ports in the hands of another program.
func TestCheckOfHandshakes(t *testing.T) {
	dir := testkit.SocketDir(t)
	ca := testkit.NewAuthority(t)
	issued := ca.Issue("polyclam.test")
	keys := "tls = true\ncertificate = \"" + issued.Certificate + "\"\nkey = \"" + issued.Key + "\""
	clients := "client_ca = \"" + ca.File + "\""
	balancer, far := "proxy_protocol = [\"127.0.0.1\"]", "proxy_protocol = [\"10.0.0.1\"]"
	for _, more := range [][]string{{keys}, {keys, clients}, {balancer}, {far}, {keys, balancer}, {keys, clients, far}} {
		address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
		conf := writeConfig(t, dir, tcpOnly(address, more...))
		check := func() *testDaemon {
			c := launch(t, nil, "--check", "--config", conf)
			c.wait()
			return c
		}
		d := startDaemon(t, conf, nil)
		if c := check(); c.cmd.ProcessState.ExitCode() != 0 {
			t.Errorf("%q: the check of what runs fails: %s", more, c.stderr.String())
		}
		d.stop()
		ln, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				nc, err := ln.Accept()
				if err != nil {
					return
				}
				nc.Close()
			}
		}()
		if c := check(); c.cmd.ProcessState.ExitCode() != 1 || !strings.Contains(c.stderr.String(), "address already in use: another program") {
			t.Errorf("%q: another program: %s", more, c.stderr.String())
		}
		ln.Close()
	}
}

// move renames a file to the path of another.
func move(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

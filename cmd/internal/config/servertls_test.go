package config

import (
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"polyclam/test/testkit"
)

const engineTable = "[[engine]]\nname = \"i\"\nbackend = \"inspect\"\n"

func TestListenerTLSKeys(t *testing.T) {
	for _, tt := range []struct{ keys, want string }{
		{"address = \"tcp:127.0.0.1:1\"\ntls = true\ncertificate = \"/c\"\nkey = \"/k\"\nclient_ca = \"/a\"\nclient_names = [\"a.b\", \"spiffe://a/b\"]\nproxy_protocol = [\"10.0.0.1\", \"10.0.1.0/24\", \"2001:db8::/64\"]", ""},
		{"address = \"unix:/s\"\nproxy_protocol = [\"unix\"]", ""},
		{"address = \"tcp:127.0.0.1:1\"\ncertificate = \"/c\"", "listener.certificate: has no effect without tls = true"},
		{"address = \"tcp:127.0.0.1:1\"\nclient_names = [\"a\"]", "listener.client_names: has no effect without tls = true"},
		{"address = \"unix:/s\"\ntls = true\ncertificate = \"/c\"\nkey = \"/k\"", "listener.tls: a Unix socket has no TLS"},
		{"address = \"tcp:127.0.0.1:1\"\ntls = true\nkey = \"/k\"", "listener.tls: needs certificate"},
		{"address = \"tcp:127.0.0.1:1\"\ntls = true\ncertificate = \"/c\"", "listener.tls: needs key"},
		{"address = \"tcp:127.0.0.1:1\"\ntls = true\ncertificate = \"c\"\nkey = \"/k\"", "\"c\" is not an absolute path"},
		{"address = \"tcp:127.0.0.1:1\"\ntls = true\ncertificate = \"/c\"\nkey = \"/k\"\nclient_names = [\"a\"]", "listener.client_names: needs client_ca"},
		{"address = \"tcp:127.0.0.1:1\"\ntls = true\ncertificate = \"/c\"\nkey = \"/k\"\nclient_ca = \"/a\"\nclient_names = [\"*.a\"]", "\"*.a\" is not a name"},
		{"address = \"tcp:127.0.0.1:1\"\ntls = true\ncertificate = \"/c\"\nkey = \"/k\"\nstream_command = true", "listener.stream_command: not possible with tls"},
		{"address = \"tcp:127.0.0.1:1\"\nproxy_protocol = [\"10.0.0.1\"]\nstream_command = true", "not possible with proxy_protocol"},
		{"address = \"tcp:127.0.0.1:1\"\nproxy_protocol = [\"0.0.0.0/0\"]", "trusts everyone"},
		{"address = \"tcp:127.0.0.1:1\"\nproxy_protocol = [\"10.0.0.1/8\"]", "write \"10.0.0.0/8\""},
		{"address = \"tcp:127.0.0.1:1\"\nproxy_protocol = [\"lb.test\"]", "\"lb.test\" is not an address; write one such as \"10.0.0.5\""},
		{"address = \"tcp:127.0.0.1:1\"\nproxy_protocol = [\"unix\"]", "this is a TCP listener"},
		{"address = \"unix:/s\"\nproxy_protocol = [\"10.0.0.1\"]", "clients of a Unix socket have no address"},
	} {
		_, err := Parse("f", []byte("[[listener]]\n"+tt.keys+"\n"+engineTable))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s:\n%v, want %q", tt.keys, err, tt.want)
		}
	}
}

// TestListenerCertificates checks that Build, not Parse, reads the files.
func TestListenerCertificates(t *testing.T) {
	ca := testkit.NewAuthority(t)
	good, expired := ca.Issue("a.test"), ca.IssueUntil(time.Now().Add(-time.Hour), "a.test")
	build := func(i testkit.Issued) (*File, error) {
		f, err := Parse("f", []byte("[[listener]]\naddress = \"tcp:127.0.0.1:1\"\ntls = true\ncertificate = \""+i.Certificate+"\"\nkey = \""+i.Key+"\"\n"+engineTable))
		if err != nil {
			t.Fatal(err)
		}
		c, err := f.Build(nil, zerolog.Nop())
		if err == nil {
			if c.Listeners[0].TLS == nil {
				t.Error("no TLS")
			}
			for _, e := range c.Engines {
				e.Close()
			}
		}
		return f, err
	}
	if _, err := build(good); err != nil {
		t.Error(err)
	}
	if f, err := build(expired); err != nil || !strings.Contains(f.Warnings.Error(), "f:4: listener.certificate: the certificate in "+expired.Certificate+" expired on") {
		t.Errorf("%v, %v", err, f.Warnings)
	}
	if _, err := build(testkit.Issued{Certificate: good.Certificate, Key: "/none"}); err == nil || !strings.Contains(err.Error(), "f:5: listener.key: /none: there is no such file") {
		t.Error(err)
	}
	if _, err := build(testkit.Issued{Certificate: good.Certificate, Key: expired.Key}); err == nil || !strings.Contains(err.Error(), "f:5: listener.key: "+expired.Key+": it does not belong to") {
		t.Error(err)
	}
}

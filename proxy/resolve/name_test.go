package resolve

import (
	"net/netip"
	"strings"
	"testing"
)

func addrPort(ip netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(ip, port) }

func TestParse(t *testing.T) {
	for address, want := range map[string]string{
		"dns:clamd.scan.svc:3310":    "clamd.scan.svc 3310 clamd.scan.svc",
		"dns:Clamd:1":                "clamd 1 clamd",
		"dns:a_b-c.example.:65535":   "a_b-c.example. 65535 a_b-c.example",
		"srv:_clamd._tcp.example":    "_clamd._tcp.example 0 example",
		"srv:_Clamd._TCP.a.example.": "_clamd._tcp.a.example. 0 a.example",
	} {
		n, err := Parse(address)
		if got := n.Host + " " + itoa(n.Port) + " " + n.ServerName(); err != nil || got != want || n.Text != address || n.Service == strings.HasPrefix(address, "dns") {
			t.Errorf("%s: %q, %v, want %q", address, got, err, want)
		}
	}
	for address, want := range map[string]string{
		"dns:clamd":                               "dns:name:port",
		"dns:clamd:0":                             "dns:name:port",
		"dns:clamd:65536":                         "dns:name:port",
		"dns:clamd:clamd":                         "dns:name:port",
		"dns::3310":                               "dns:name:port",
		"dns:a..b:3310":                           "dns:name:port",
		"dns:-a:3310":                             "dns:name:port",
		"dns:a b:3310":                            "dns:name:port",
		"dns:a\nb:3310":                           "dns:name:port",
		"dns:a/b:3310":                            "dns:name:port",
		"dns:10.0.0.1:3310":                       `write "tcp:10.0.0.1:3310"`,
		"dns:[::1]:3310":                          `write "tcp:[::1]:3310"`,
		"srv:clamd.example":                       "srv:_service._proto.name",
		"srv:_clamd.example":                      "srv:_service._proto.name",
		"srv:_clamd._tcp":                         "srv:_service._proto.name",
		"srv:_clamd._tcp.":                        "srv:_service._proto.name",
		"srv:_clamd._tcp.a:3310":                  "srv:_service._proto.name",
		"srv:_._tcp.example":                      "srv:_service._proto.name",
		"dns:" + strings.Repeat("a", 64) + ":1":   "dns:name:port",
		"dns:" + strings.Repeat("a.", 128) + ":1": "dns:name:port",
	} {
		if n, err := Parse(address); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v, want %q", address, n, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("dns:clamd.scan.svc:3310")
	f.Add("srv:_clamd._tcp.example.")
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := Parse(s); err == nil && (n.ServerName() == "" || strings.ContainsAny(n.Host, " \n\r:/\x00") || n.Service != (n.Port == 0)) {
			t.Errorf("%q: %+v", s, n)
		}
	})
}

func TestServerAddress(t *testing.T) {
	for in, want := range map[string]string{
		"10.0.0.1": "10.0.0.1:53", "10.0.0.1:8600": "10.0.0.1:8600", "::1": "[::1]:53", "[::1]:8600": "[::1]:8600", "[::1]": "[::1]:53",
		"a.example": "", "10.0.0.1:0": "", "": "", "10.0.0.1:dns": "",
	} {
		if got, ok := ServerAddress(in); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", in, got, ok)
		}
	}
}

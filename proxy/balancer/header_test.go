package balancer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/pires/go-proxyproto"
)

// v2 returns a header of version 2 with any command, family and rest.
func v2(command, family byte, rest string) string {
	return string(proxyproto.SIGV2) + string([]byte{command, family}) + string(binary.BigEndian.AppendUint16(nil, uint16(len(rest)))) + rest
}

const (
	ipv4 = "\xc0\x00\x02\x01\x0a\x00\x00\x01\x12\x34\x0c\xee"
	tlvs = "\x03\x00\x04abcd\x04\x00\x00"
)

var (
	ipv6 = "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x07" + strings.Repeat("\x00", 15) + "\x01" + "\x12\x34\x0c\xee"
	unix = "/run/a" + strings.Repeat("\x00", 102) + "/run/b" + strings.Repeat("\x00", 102)
)

var headerTests = []struct {
	name, wire string
	want       string // the address, "own", "unix", or in the error
}{
	{"v1", "PROXY TCP4 192.0.2.1 10.0.0.1 4660 3310\r\n", "192.0.2.1:4660"},
	{"v1 IPv6", "PROXY TCP6 2001:db8::7 ::1 4660 3310\r\n", "[2001:db8::7]:4660"},
	{"v1 mapped", "PROXY TCP6 ::ffff:192.0.2.1 ::1 4660 3310\r\n", "192.0.2.1:4660"},
	{"v1 longest", "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
	{"v1 unknown", "PROXY UNKNOWN\r\n", "own"},
	{"v1 unknown with text", "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "own"},
	{"v2", v2(0x21, 0x11, ipv4), "192.0.2.1:4660"},
	{"v2 TLVs", v2(0x21, 0x11, ipv4+tlvs), "192.0.2.1:4660"},
	{"v2 garbage as TLVs", v2(0x21, 0x11, ipv4+"\xff\xff\xff"), "192.0.2.1:4660"},
	{"v2 many TLVs", v2(0x21, 0x11, ipv4+strings.Repeat("\x03\x00\x01a", 1000)), "192.0.2.1:4660"},
	{"v2 IPv6", v2(0x21, 0x21, ipv6), "[2001:db8::7]:4660"},
	{"v2 Unix", v2(0x21, 0x31, unix), "unix"},
	{"v2 local", v2(0x20, 0x00, ""), "own"},
	{"v2 local with address", v2(0x20, 0x11, ipv4), "own"},
	{"v2 local with anything", v2(0x20, 0x11, "abc"), "own"},
	{"v2 unspecified", v2(0x21, 0x00, "abc"), "own"},

	{"a command", "zPING\x00", "does not begin with a PROXY header"},
	{"a short command", "z", "does not begin with"},
	{"TLS", "\x16\x03\x01\x02\x00", "does not begin with"},
	{"almost", "PROXZ TCP4 ", "does not begin with"},
	{"almost v2", "\r\n\r\n\x00\r\nQUIX", "does not begin with"},
	{"nothing", "", "EOF"},
	{"truncated signature", "PROXY", "ends within"},
	{"truncated v1", "PROXY TCP4 192.0.2.1 10.0", "ends within"},
	{"truncated v2", v2(0x21, 0x11, ipv4)[:20], "ends within"},
	{"truncated v2 length", v2(0x21, 0x11, ipv4)[:15], "ends within"},
	{"v1 without end", "PROXY TCP4 " + strings.Repeat("1", 200), "too long"},
	{"v2 too long", v2(0x21, 0x11, ipv4+strings.Repeat("a", 4096)), "too long"},
	{"v1 newline alone", "PROXY TCP4 192.0.2.1 10.0.0.1 1 2\n", "end with"},
	{"v1 wrong family", "PROXY TCP4 2001:db8::7 10.0.0.1 1 2\r\n", "invalid address"},
	{"v1 zone", "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", "invalid address"},
	{"v1 port", "PROXY TCP4 192.0.2.1 10.0.0.1 65536 2\r\n", "invalid port"},
	{"v1 octal", "PROXY TCP4 192.0.2.01 10.0.0.1 1 2\r\n", "invalid address"},
	{"v1 UDP", "PROXY UDP4 192.0.2.1 10.0.0.1 1 2\r\n", "not valid"},
	{"v1 fields", "PROXY TCP4 192.0.2.1\r\n", "not valid"},
	{"v2 version 3", v2(0x31, 0x11, ipv4), "not valid"},
	{"v2 command", v2(0x2f, 0x11, ipv4), "not valid"},
	{"v2 family", v2(0x21, 0x51, ipv4), "not valid"},
	{"v2 short address", v2(0x21, 0x11, ipv4[:5]), "invalid length"},
	{"v2 datagram", v2(0x21, 0x12, ipv4), "not about a stream"},
	{"v2 Unix datagram", v2(0x21, 0x32, unix), "not about a stream"},
}

func outcome(h Header, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case h.Own:
		return "own"
	case !h.Addr.IsValid():
		return "unix"
	}
	return h.Addr.String()
}

func TestRead(t *testing.T) {
	const rest = "zPING\x00"
	for _, tt := range headerTests {
		whole := !strings.Contains(tt.want, "ends") && tt.want != "EOF"
		for i, wrap := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.DataErrReader} {
			in := strings.NewReader(tt.wire)
			if whole {
				in = strings.NewReader(tt.wire + rest)
			}
			h, err := Read(wrap(in))
			if got := outcome(h, err); got != tt.want && (err == nil || !strings.Contains(got, tt.want)) {
				t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
			}
			if err != nil && err != io.EOF && !errors.As(err, new(*Error)) {
				t.Errorf("%s: %T", tt.name, err)
			}
			if left, _ := io.ReadAll(in); err == nil && i < 2 && string(left) != rest { // the last one reads ahead
				t.Errorf("%s: left %q", tt.name, left)
			}
		}
	}
}

// TestReadTimeout checks that the connection's own error is returned.
func TestReadTimeout(t *testing.T) {
	timeout := errors.New("timeout")
	for _, wire := range []string{"", "PRO", "PROXY TCP4 19", v2(0x21, 0x11, ipv4)[:18]} {
		if _, err := Read(io.MultiReader(strings.NewReader(wire), iotest.ErrReader(timeout))); err != timeout {
			t.Errorf("%q: %v", wire, err)
		}
	}
}

func TestTrusted(t *testing.T) {
	trusted := Trusted{Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("fe80::/64")}}
	for a, want := range map[string]bool{"10.0.0.5": true, "::ffff:10.0.0.5": true, "10.0.1.5": false, "fe80::1%eth0": true, "::1": false} {
		if got := trusted.Has(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s: %v", a, got)
		}
	}
	if trusted.Has(netip.Addr{}) || !(Trusted{Unix: true}).Has(netip.Addr{}) || (Trusted{}).Any() {
		t.Error("Unix sockets")
	}
}

// FuzzRead checks that no input makes Read panic, read beyond the header, or accept what
// the library's own writer would not repeat.
func FuzzRead(f *testing.F) {
	for _, tt := range headerTests {
		f.Add([]byte(tt.wire))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		in := bytes.NewReader(data)
		h, err := Read(in)
		n := len(data) - in.Len()
		if n > fixedV2+maxV2 {
			t.Fatalf("%d bytes were read", n)
		}
		slow, slowErr := Read(iotest.OneByteReader(bytes.NewReader(data)))
		if outcome(slow, slowErr) != outcome(h, err) {
			t.Fatalf("by single bytes: %s, else %s", outcome(slow, slowErr), outcome(h, err))
		}
		if err != nil {
			return
		}
		if again, err := Read(bytes.NewReader(data[:n])); err != nil || again != h {
			t.Fatalf("the header alone: %s", outcome(again, err))
		}
		if h.Addr.IsValid() {
			a := net.TCPAddrFromAddrPort(h.Addr)
			wire, err := proxyproto.HeaderProxyFromAddrs(2, a, a).Format()
			if err != nil {
				t.Fatal(err)
			}
			if again, err := Read(bytes.NewReader(wire)); err != nil || again != h {
				t.Fatalf("written again: %s, want %s", outcome(again, err), outcome(h, nil))
			}
		}
	})
}

package backends_test

import (
	"strconv"
	"strings"
	"testing"

	"polyclam/backends"
)

func TestParseAddress(t *testing.T) {
	long := "/" + strings.Repeat("a", 106)
	for _, c := range []struct{ in, network, address string }{
		{"unix:/run/clamav/clamd.ctl", "unix", "/run/clamav/clamd.ctl"},
		{"unix:/with:colon and blank", "unix", "/with:colon and blank"},
		{"unix:" + long, "unix", long},
		{"tcp:127.0.0.1:3310", "tcp", "127.0.0.1:3310"},
		{"tcp:[::1]:3310", "tcp", "[::1]:3310"},
		{"tcp:[fe80::1%lo]:3310", "tcp", "[fe80::1%lo]:3310"},
		{"tcp:0.0.0.0:3310", "tcp", "0.0.0.0:3310"},
		{"tcp:scanner.example.org:icap", "tcp", "scanner.example.org:icap"},
		{"tcp:h:1", "tcp", "h:1"},
		{"tcp:h:65535", "tcp", "h:65535"},
	} {
		network, address, err := backends.ParseAddress(c.in)
		if err != nil || network != c.network || address != c.address {
			t.Errorf("ParseAddress(%q) = %q, %q, %v", c.in, network, address, err)
		}
	}
	for _, in := range []string{
		"", "unix", "unix:", "unix:relative", "unix:@abstract", "unix:/a\x00b", "unix:" + long + "a",
		"tcp", "tcp:", "tcp:127.0.0.1", "tcp:::1:3310", "tcp:127.0.0.1:", "tcp:h:0", "tcp:h:65536", "tcp:h:-1", "tcp:h:+1",
		"tcp:h:12x", "tcp::3310", "tcp:*:3310", "127.0.0.1:3310", "/run/clamd.ctl", "udp:127.0.0.1:1", "TCP:127.0.0.1:1", "http://h:80", " tcp:h:1",
	} {
		network, address, err := backends.ParseAddress(in)
		if err == nil || network != "" || address != "" {
			t.Errorf("ParseAddress(%q) = %q, %q, %v; want an error", in, network, address, err)
			continue
		}
		if !strings.HasPrefix(err.Error(), strconv.Quote(in)+": ") {
			t.Errorf("ParseAddress(%q): %v does not begin with it", in, err)
		}
	}
}

package migrate

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func confTree(t *testing.T, namesAndTexts ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(namesAndTexts); i += 2 {
		p := filepath.Join(dir, namesAndTexts[i])
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(namesAndTexts[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestConfOf(t *testing.T) {
	dir := confTree(t,
		"etc/clamav/clamd.conf", "LocalSocket /var/run/clamav/clamd.ctl\n",
		"etc/clamav/clamd-engine.conf", engineConfHead+"\nLocalSocket /run/clamav/clamd-engine.ctl\n",
		"etc/clamav/freshclam.conf", "NotifyClamd /etc/clamav/clamd.conf\n",
		"etc/clamd.d/scan.conf", "TCPSocket 3310\nTCPAddr 127.0.0.1\n",
		"etc/clamd.d/far.conf", "TCPSocket 3311\nTCPAddr 192.0.2.1\n",
		"etc/clamd.d/all.conf", "TCPSocket 3312\n",
		"run/clamav/x", "", "var/x", "")
	if err := os.Symlink("../run", filepath.Join(dir, "var/run")); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"unix:/run/clamav/clamd.ctl":        "/etc/clamav/clamd.conf",
		"unix:/run/clamav/clamd-engine.ctl": "/etc/clamav/clamd-engine.conf",
		"tcp:127.0.0.1:3310":                "/etc/clamd.d/scan.conf",
		"tcp:localhost:3312":                "/etc/clamd.d/all.conf",
		"tcp:[::1]:3312":                    "/etc/clamd.d/all.conf",
		"tcp:127.0.0.1:3311":                "",
		"tcp:192.0.2.9:3310":                "",
		"unix:/run/other":                   "",
		"":                                  "",
	} {
		c, ok := ConfOf(dir, address)
		if ok != (want != "") || ok && c.Path() != want {
			t.Errorf("%s: %v %+v, want %s", address, ok, c, want)
		}
	}
}

func TestClamdConf(t *testing.T) {
	dir := confTree(t, "etc/clamd.conf", "LocalSocket /s\nScanMail no\nAlertEncrypted yes\nMaxFileSize 25M\nMaxScanSize 0\nMaxThreads 5\nMaxQueue many\nExcludePath ^/proc/\nExcludePath ^/sys/\n")
	c, ok := ConfOf(dir, "unix:/s")
	if !ok {
		t.Fatal("not found")
	}
	if at, on := c.Enabled("AlertEncrypted"); !on || at != "/etc/clamd.conf:3: AlertEncrypted yes" {
		t.Errorf("AlertEncrypted: %v %s", on, at)
	}
	if at, on := c.Enabled("ScanMail"); on || at != "" {
		t.Errorf("ScanMail: %v %s", on, at)
	}
	if n, at, ok := c.Bytes("MaxFileSize"); !ok || n != 25<<20 || at != "/etc/clamd.conf:4: MaxFileSize 25M" {
		t.Errorf("MaxFileSize: %d %s %v", n, at, ok)
	}
	if n, _, ok := c.Bytes("MaxScanSize"); !ok || n != math.MaxInt64 {
		t.Errorf("MaxScanSize: %d %v", n, ok)
	}
	if n, _, ok := c.Number("MaxThreads"); !ok || n != 5 {
		t.Errorf("MaxThreads: %d %v", n, ok)
	}
	if n, at, ok := c.Number("MaxQueue"); ok || n != 0 || at != "" {
		t.Errorf("MaxQueue: %d %s %v", n, at, ok)
	}
	if got := c.Lines("ExcludePath"); !slices.Equal(got, []string{"/etc/clamd.conf:8: ExcludePath ^/proc/", "/etc/clamd.conf:9: ExcludePath ^/sys/"}) {
		t.Errorf("ExcludePath: %q", got)
	}
}

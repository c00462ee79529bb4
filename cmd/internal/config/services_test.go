package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestServices checks which listeners speak clamd's protocol, and which do not.
func TestServices(t *testing.T) {
	f := mustParse(t, oneListener+"[[listener]]\naddress = \"tcp:127.0.0.1:3311\"\nagent_check = true\n"+oneEngine+
		"[http]\naddress = \"unix:/run/http\"\nmode = \"0640\"\n[admin]\naddress = \"unix:/run/admin\"\n")
	if len(f.Listeners) != 1 || f.Listeners[0].Service != ServiceClamd {
		t.Errorf("listeners: %+v", f.Listeners)
	}
	type one struct {
		service Service
		address string
		mode    fs.FileMode
	}
	var got []one
	for _, l := range f.Services {
		got = append(got, one{l.Service, l.Address, l.Mode})
	}
	want := []one{{ServiceHTTP, "unix:/run/http", 0o640}, {ServiceAdmin, "unix:/run/admin", 0o600}, {ServiceAgent, "tcp:127.0.0.1:3311", 0o666}}
	if !slices.Equal(got, want) {
		t.Errorf("services: %v, want %v", got, want)
	}
	if l := f.Has("unix:/run/admin"); l == nil || l.Service != ServiceAdmin || f.Has("unix:/none") != nil {
		t.Errorf("Has: %+v", l)
	}
	if f := mustParse(t, oneListener+oneEngine); f.Services != nil {
		t.Errorf("without keys: %+v", f.Services)
	}
	if f := Default(); len(f.Services) != 1 || f.Services[0].Service != ServiceAdmin || !strings.HasSuffix(f.Services[0].Address, "/admin.sock") {
		t.Errorf("the default: %+v", f.Services)
	}
}

// TestServiceWarnings has tables whose status others could read.
func TestServiceWarnings(t *testing.T) {
	for _, test := range []struct{ http, want string }{
		{"address = \"tcp:127.0.0.1:9310\"", ""},
		{"address = \"tcp:[::1]:9310\"", ""},
		{"address = \"tcp:localhost:9310\"", ""},
		{"address = \"unix:/run/http\"", ""},
		{"address = \"tcp:0.0.0.0:9310\"", "http.address: anyone who can reach"},
		{"address = \"tcp:192.0.2.1:9310\"", "http.address: anyone who can reach"},
		{"address = \"tcp:stats.example:9310\"", "http.address: anyone who can reach"},
		{"address = \"tcp:[::]:9310\"\ntoken_file = \"/x\"", "http.token_file: without TLS the token can be read"},
		{"address = \"tcp:[::]:9310\"\ntoken_file = \"/x\"\ntls = true\ncertificate = \"/c\"\nkey = \"/k\"", ""},
		{"address = \"tcp:[::]:9310\"\nclient_ca = \"/x\"\ntls = true\ncertificate = \"/c\"\nkey = \"/k\"", ""},
		{"scans = false", "http.scans: there is no address"},
		{"[admin]\nmode = \"0660\"", "admin.mode: there is no address"},
	} {
		f := mustParse(t, oneListener+oneEngine+"[http]\n"+test.http+"\n")
		var got []string
		for _, w := range f.Warnings {
			if strings.HasPrefix(w.Key, "http") || strings.HasPrefix(w.Key, "admin") {
				got = append(got, w.Key+": "+w.Text)
			}
		}
		if test.want == "" && got != nil || test.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], test.want)) {
			t.Errorf("%s\ngot  %q\nwant %q", test.http, got, test.want)
		}
	}
}

func TestReadToken(t *testing.T) {
	const good = "0123456789abcdef"
	dir := t.TempDir()
	for _, test := range []struct {
		name, text    string
		mode          fs.FileMode
		want          string
		warning, fail string
	}{
		{"good", good + "\n", 0o600, good, "", ""},
		{"no line break", good, 0o640, good, "", ""},
		{"from Windows", good + "\r\n", 0o600, good, "", ""},
		{"short", "secret\n", 0o600, "secret", "has 6 characters and can be guessed", ""},
		{"readable", good, 0o644, good, "every user of this machine can read", ""},
		{"empty", "", 0o600, "", "", "is empty; write one token"},
		{"only a line break", "\n", 0o600, "", "", "is empty; write one token"},
		{"two lines", good + "\n" + good + "\n", 0o600, "", "", "has more than one line"},
		{"blank line", good + "\n\n", 0o600, "", "", "has more than one line"},
		{"a space", "Bearer " + good, 0o600, "", "", "a character that a token cannot have"},
		{"not ASCII", "pässwörter-pässwörter", 0o600, "", "", "a character that a token cannot have"},
		{"large", strings.Repeat("x", maxToken+1), 0o600, "", "", "is larger than 4096 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(dir, strings.ReplaceAll(test.name, " ", "-"))
			if err := os.WriteFile(path, []byte(test.text), test.mode); err != nil {
				t.Fatal(err)
			}
			token, warning, err := ReadToken(path)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if token != test.want || (warning == "") != (test.warning == "") || !strings.Contains(warning, test.warning) ||
				(text == "") != (test.fail == "") || !strings.Contains(text, test.fail) {
				t.Errorf("%q, %q, %q", token, warning, text)
			}
			if strings.Contains(warning+text, good) || strings.Contains(warning+text, "secret\"") {
				t.Errorf("the token is shown: %q %q", warning, text)
			}
		})
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "none"), dir, pipe} {
		if token, _, err := ReadToken(path); err == nil || token != "" || !strings.HasPrefix(err.Error(), path) {
			t.Errorf("%s: %q, %v", path, token, err)
		}
	}
}

package config

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends/registry"
	"polyclam/proxy/engine"
	"polyclam/proxy/spool"
	"polyclam/proxy/spool/spooltest"
	"polyclam/test/testkit"
)

// identityOf returns the identity of the only node in a document.
func identityOf(t *testing.T, doc string) string {
	t.Helper()
	f := mustParse(t, oneListener+"[spool]\ndirectory = \"/tmp\"\n"+doc)
	return f.Engines[0].identity(f.Engines[0].nodes()[0])
}

// TestIdentityKeys changes keys of the backend and common keys.
func TestIdentityKeys(t *testing.T) {
	const headers = "[engine.headers]\nAuthorization = \"Bearer hunter2\"\n"
	icap := "[[engine]]\nname = \"a\"\nbackend = \"httpscan\"\naddress = \"tcp:127.0.0.1:9000\"\n"
	id := identityOf(t, icap+headers)
	if id == "" || strings.Contains(id, "hunter2") {
		t.Errorf("identity %q", id)
	}
	for _, c := range []struct {
		name, doc string
		same      bool
	}{
		{"the same", icap + headers, true},
		{"others' keys", icap + "required = false\ntimeout = \"7s\"\nmax_scans = 3\ncanary = false\n" + headers, true},
		{"a default written down", icap + "keepalive = false\n" + headers, true},
		{"an own key", icap + "keepalive = true\n" + headers, false},
		{"a secret", icap + strings.Replace(headers, "hunter2", "hunter3", 1), false},
		{"the address", strings.Replace(icap, "9000", "9001", 1) + headers, false},
		{"the backend", strings.Replace(icap, "httpscan", "kse", 1) + headers, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := identityOf(t, c.doc); (got == id) != c.same {
				t.Errorf("same: %t, want %t", got == id, c.same)
			}
		})
	}
}

// TestIdentityFiles changes the files that keys name, in every way that a backend can
// notice.
func TestIdentityFiles(t *testing.T) {
	dir := t.TempDir()
	ca, hashes := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "local.hdb")
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	certificate := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	own := testkit.NewAuthority(t).Issue("polyclam.test")
	key, err := os.ReadFile(own.Key)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, doc, file, text string }{
		{"ca", fmt.Sprintf("[[engine]]\nname = \"a\"\nbackend = \"icap\"\naddress = \"tcp:127.0.0.1:11344\"\ntls = true\nca = %q\n", ca), ca, certificate},
		{"ca of polyclam", fmt.Sprintf("[[engine]]\nname = \"a\"\nbackend = \"polyclam\"\naddress = \"tcp:127.0.0.1:1\"\ntls = true\nca = %q\n", ca), ca, certificate},
		{"key of clamd", fmt.Sprintf("[[engine]]\nname = \"a\"\nbackend = \"clamd\"\naddress = \"tcp:127.0.0.1:1\"\ntls = true\ncertificate = %q\nkey = %q\n", own.Certificate, ca), ca, string(key)},
		{"hashes", fmt.Sprintf("[[engine]]\nname = \"a\"\nbackend = \"inspect\"\nhashes = [%q]\n", hashes), hashes, "# none\n"},
		{"program", fmt.Sprintf("[[engine]]\nname = \"a\"\nbackend = \"command\"\nargv = [%q, \"{path}\"]\nexit = { 0 = \"ok\" }\nok_silent = true\n", hashes), hashes, "#!/bin/sh\n"},
	}
	changes := []struct {
		name   string
		change func(file, text string) error
	}{
		{"written again", func(file, text string) error { return os.WriteFile(file, []byte(text), 0o644) }},
		{"replaced", func(file, text string) error {
			if err := os.WriteFile(file+".new", []byte(text), 0o644); err != nil {
				return err
			}
			return os.Rename(file+".new", file)
		}},
		{"set back in time", func(file, text string) error { return os.Chtimes(file, time.Unix(1, 0), time.Unix(1, 0)) }},
	}
	for _, tt := range tests {
		for _, c := range changes {
			t.Run(tt.name+" "+c.name, func(t *testing.T) {
				if err := os.WriteFile(tt.file, []byte(tt.text), 0o644); err != nil {
					t.Fatal(err)
				}
				// Change the limit instead of the clock.
				defer func(d time.Duration) { settleTime = d }(settleTime)
				settleTime = -time.Hour
				before := identityOf(t, tt.doc)
				if again := identityOf(t, tt.doc); again != before {
					t.Error("it is another one without a change")
				}
				time.Sleep(5 * time.Millisecond) // the granularity of the kernel's clock
				if err := c.change(tt.file, tt.text); err != nil {
					t.Fatal(err)
				}
				after := identityOf(t, tt.doc)
				if after == before {
					t.Error("the change was not noticed")
				}
				settleTime = time.Hour
				if first, second := identityOf(t, tt.doc), identityOf(t, tt.doc); first == second {
					t.Error("a file that has just changed is taken for the same")
				}
			})
		}
	}
}

// TestIdentityEvery checks that every backend has an identity.
func TestIdentityEvery(t *testing.T) {
	for _, name := range registry.Keys() {
		u := newEngine("x", name)
		if id := u.identity("unix:/run/x"); id == "" || id != u.identity("unix:/run/x") {
			t.Errorf("%s: %q, then %q", name, id, u.identity("unix:/run/x"))
		}
	}
}

// TestBuildIdentity replaces one build by another, which keeps the results of the first
// one's health checks unless a key of the backend has changed.
func TestBuildIdentity(t *testing.T) {
	store := spooltest.New(t, spool.Config{})
	build := func(more string) *engine.Engine {
		c, err := mustParse(t, oneListener+oneEngine+more).Build(store, zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		return c.Engines[0]
	}
	checked := func(u *engine.Engine) bool { return !u.Status().Nodes[0].Canary.Time.IsZero() }
	u := build("")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go u.Run(ctx)
	for !checked(u) { // there is no clamd, so the check ends soon
		time.Sleep(time.Millisecond)
	}
	cancel()
	for _, c := range []struct {
		more string
		kept bool
	}{{"", true}, {"timeout = \"7s\"\n", true}, {"connect_timeout = \"7s\"\n", false}} {
		next := build(c.more)
		if !next.Succeed(u) {
			t.Fatalf("with %q it is another engine", c.more)
		}
		if checked(next) != c.kept {
			t.Errorf("with %q the node is kept: %t, want %t", c.more, !c.kept, c.kept)
		}
		u = next
	}
	u.Close()
}

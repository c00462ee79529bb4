package config

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"polyclam/backends/registry"
	"polyclam/cmd/internal/config/decode"
)

// printed says for each key of each backend whether results depend on it. Connections, also
// secure ones, do not change what an engine says.
var printed = map[string]struct{ in, out []string }{
	"clamd":    {[]string{"transport"}, []string{"sessions"}},
	"inspect":  {[]string{"hashes", "encrypted", "max_bytes", "max_depth", "max_members", "max_time"}, nil},
	"polyclam": {[]string{"transport"}, nil},
	"sssp":     {[]string{"transport", "options", "encrypted_texts", "partial_texts"}, []string{"sessions", "idle_limit"}},
	"sophie":   {[]string{"transport", "encrypted_texts", "partial_texts"}, nil},
	"icap": {[]string{
		"service", "method", "preview", "http_headers", "url", "file_name", "file_name_header", "content_type", "headers", "echo_is",
		"statuses", "http_statuses", "error_codes", "redirect_is_threat", "encrypted_texts", "partial_texts",
	}, []string{"keepalive"}},
	"fprot":   {[]string{"protocol", "transport", "options", "ports", "encrypted_texts", "partial_texts"}, []string{"sessions"}},
	"avast":   {[]string{"encrypted_texts", "partial_texts"}, []string{"sessions"}},
	"fsecure": {[]string{"protocol", "settings", "encrypted_texts", "partial_texts"}, []string{"sessions"}},
	"drwebd":  {[]string{"transport", "heuristics", "mail", "encrypted_texts", "partial_texts"}, nil},
	"kse":     {[]string{"protocol", "api", "transport", "scan_timeout", "headers", "encrypted_texts", "partial_texts"}, []string{"keepalive"}},
	"kav":     {[]string{"protocol", "encrypted_texts", "partial_texts"}, nil},
	"savapi":  {[]string{"product", "settings", "harmless_texts", "encrypted_texts", "partial_texts"}, nil},
	"httpscan": {[]string{
		"flavour", "method", "path", "request", "field", "file_name", "file_name_header", "content_type", "headers", "statuses",
		"answer_path", "answer_regex", "answers", "name_path", "name_regex", "version_path", "version_key", "encrypted_texts", "partial_texts",
	}, []string{"keepalive"}},
	"command": {[]string{
		"preset", "program", "extra_args", "argv", "exit", "mask", "virus_regex", "virus_flag_regex", "suspicious_regex", "encrypted_regex",
		"partial_regex", "error_regex", "cannot_execute_regex", "ok_regex", "ok_silent", "ignore_regex", "name_rules", "known_names", "env",
		"version_argv", "version_regex", "per", "copy", "max_output",
	}, nil},
}

// connection are the keys for connections that many backends share.
var connection = []string{"connect_timeout", "tls", "ca", "certificate", "key", "server_name", "insecure_skip_verify"}

// TestFingerprintKeys checks that each key is classified, and has the effect that its class
// says.
func TestFingerprintKeys(t *testing.T) {
	for _, row := range registry.Rows() {
		class, ok := printed[row.Key]
		if !ok {
			t.Errorf("the backend %s is not classified", row.Key)
			continue
		}
		e := newEngine("e", row.Key)
		before := e.fingerprint()
		if before == "" || before != e.fingerprint() {
			t.Errorf("%s has the fingerprints %q and %q", row.Key, before, e.fingerprint())
		}
		seen := 0
		walkKeys("engine", "", reflect.ValueOf(e.config).Elem(), func(_, key string, v reflect.Value) {
			seen++
			in := slices.Contains(class.in, key)
			if out := slices.Contains(class.out, key) || slices.Contains(connection, key); in == out {
				t.Errorf("%s: classify the key %s: do results depend on it?", row.Key, key)
				return
			}
			old := reflect.ValueOf(v.Interface())
			change(t, key, v)
			if changed := e.fingerprint() != before; changed != in {
				t.Errorf("%s: %s changes the fingerprint: %v, want %v", row.Key, key, changed, in)
			}
			v.Set(old)
		})
		if n := len(decode.Keys(e.config)); seen != n {
			t.Errorf("%s: %d keys looked at, it has %d", row.Key, seen, n)
		}
	}
}

// TestFingerprint compares engines with different settings.
func TestFingerprint(t *testing.T) {
	dir := t.TempDir()
	hashes := filepath.Join(dir, "local.hdb")
	write := func(text string, at time.Time) {
		t.Helper()
		if err := os.WriteFile(hashes, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(hashes, at, at); err != nil {
			t.Fatal(err)
		}
	}
	named := func(name, doc string) string {
		t.Helper()
		f := mustParse(t, oneListener+"[spool]\ndirectory = \"/tmp\"\n[[engine]]\nname = \""+name+"\"\n"+doc)
		return f.Engines[0].fingerprint()
	}
	of := func(doc string) string {
		t.Helper()
		return named("a", doc)
	}
	old := time.Now().Add(-time.Hour)
	inspect := "backend = \"inspect\"\nhashes = [\"" + hashes + "\"]\n"
	write("# none\n", old)
	before := of(inspect)
	if of(inspect) != before {
		t.Error("the same file has two fingerprints")
	}
	write("# two!\n", old)
	if of(inspect) == before {
		t.Error("another file of the same size and time has the same fingerprint")
	}
	write("# none\n", old.Add(time.Minute))
	if of(inspect) != before {
		t.Error("the same bytes, written again, have another fingerprint")
	}
	write("# none\n", time.Now())
	if of(inspect) == before {
		t.Error("a file that has just changed is trusted")
	}
	clamd := "backend = \"clamd\"\n"
	if of(clamd+"address = \"tcp:127.0.0.1:1\"\n") != of(clamd+"addresses = [\"unix:/a\", \"unix:/b\"]\ntimeout = \"7s\"\nmax_scans = 3\nrequired = false\nconnect_timeout = \"9s\"\n") {
		t.Error("addresses and limits are part of the fingerprint")
	}
	if of(clamd+"address = \"tcp:127.0.0.1:1\"\n") == of("backend = \"polyclam\"\naddress = \"tcp:127.0.0.1:1\"\n") {
		t.Error("two backends have the same fingerprint")
	}
	if of(clamd+"address = \"tcp:127.0.0.1:1\"\n") == named("b", clamd+"address = \"tcp:127.0.0.1:1\"\n") {
		t.Error("two engines have the same fingerprint: each may have signatures that the other lacks")
	}
	inUse := build
	t.Cleanup(func() { build = inUse })
	before = of(clamd + "address = \"tcp:127.0.0.1:1\"\n")
	build = func() string { return "another build" }
	if of(clamd+"address = \"tcp:127.0.0.1:1\"\n") == before {
		t.Error("another build of polyclam has the same fingerprint")
	}
	secret := "backend = \"httpscan\"\naddress = \"tcp:127.0.0.1:1\"\n[engine.headers]\nAuthorization = \"Bearer hunter2\"\n"
	if strings.Contains(of(secret), "hunter2") {
		t.Error("the fingerprint has a secret key")
	}
}

// TestGetsNames says which engines get file names: their results depend on them.
func TestGetsNames(t *testing.T) {
	for doc, want := range map[string]bool{
		"backend = \"clamd\"\naddress = \"unix:/a\"\n":                        false,
		"backend = \"clamd\"\naddress = \"unix:/a\"\ntransport = \"path\"\n":  true,
		"backend = \"inspect\"\n":                                             false,
		"backend = \"polyclam\"\naddress = \"unix:/a\"\n":                     false,
		"backend = \"sssp\"\naddress = \"unix:/a\"\ntransport = \"data\"\n":   false,
		"backend = \"sssp\"\naddress = \"unix:/a\"\ntransport = \"file\"\n":   true,
		"backend = \"icap\"\naddress = \"tcp:127.0.0.1:1\"\n":                 true,
		"backend = \"httpscan\"\naddress = \"tcp:127.0.0.1:1\"\n":             true,
		"backend = \"avast\"\naddress = \"unix:/a\"\n":                        true,
		"backend = \"command\"\npreset = \"clamscan\"\n":                      true,
		"backend = \"kse\"\naddress = \"tcp:127.0.0.1:1\"\n":                  false,
		"backend = \"drwebd\"\naddress = \"unix:/a\"\ntransport = \"path\"\n": true,
		"backend = \"sophie\"\naddress = \"unix:/a\"\ntransport = \"path\"\n": true,
		"backend = \"fprot\"\naddress = \"tcp:127.0.0.1:1\"\n":                true,
		"backend = \"kav\"\naddress = \"unix:/a\"\n":                          true,
		"backend = \"fsecure\"\naddress = \"unix:/a\"\n":                      true,
		"backend = \"savapi\"\naddress = \"unix:/a\"\nproduct = \"10776\"\n":  true,
	} {
		e := mustParse(t, oneListener+"[spool]\ndirectory = \"/tmp\"\n[[engine]]\nname = \"a\"\n"+doc).Engines[0]
		b, err := e.config.Open(e.nodes()[0])
		if err != nil {
			t.Fatal(doc, err)
		}
		if got := e.getsNames(b); got != want {
			t.Errorf("%s: %v, want %v", doc, got, want)
		}
	}
}

// TestCacheTTL reads the key, and what follows from it.
func TestCacheTTL(t *testing.T) {
	for _, tt := range []struct {
		backend, value string
		ttl            time.Duration
		unversioned    bool
		bad            bool
	}{
		{backend: "clamd", ttl: 10 * time.Minute},
		{backend: "clamd", value: "auto", ttl: 10 * time.Minute},
		{backend: "clamd", value: "1h", ttl: time.Hour, unversioned: true},
		{backend: "clamd", value: "0s", unversioned: true},
		{backend: "clamd", value: "24h", ttl: 24 * time.Hour, unversioned: true},
		{backend: "polyclam"},
		{backend: "polyclam", value: "5m", ttl: 5 * time.Minute, unversioned: true},
		{backend: "clamd", value: "25h", bad: true},
		{backend: "clamd", value: "-1ns", bad: true},
		{backend: "clamd", value: "soon", bad: true},
		{backend: "clamd", value: "", ttl: 10 * time.Minute},
	} {
		doc := oneListener + "[[engine]]\nname = \"a\"\nbackend = \"" + tt.backend + "\"\naddress = \"unix:/a\"\n"
		if tt.value != "" {
			doc += "cache_ttl = \"" + tt.value + "\"\n"
		}
		f, err := Parse("c.toml", []byte(doc))
		if tt.bad {
			if err == nil || !strings.Contains(err.Error(), "cache_ttl") {
				t.Errorf("%s: %v", tt.value, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if ttl, unversioned := f.Engines[0].cacheTTL(); ttl != tt.ttl || unversioned != tt.unversioned {
			t.Errorf("%s %q: %v, %v", tt.backend, tt.value, ttl, unversioned)
		}
	}
	f, err := Parse("c.toml", []byte(oneListener+"[[engine]]\nname = \"a\"\nbackend = \"clamd\"\naddress = \"unix:/a\"\ncache_ttl = \"1h\"\ncanary = false\n"))
	if err != nil || !slices.ContainsFunc(f.Warnings, func(p Problem) bool { return strings.Contains(p.String(), "cache_ttl") }) {
		t.Errorf("no warning: %v", err)
	}
}

package config

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/backends/registry"
	"polyclam/cmd/internal/config/decode"
	"polyclam/cmd/internal/config/position"
	"polyclam/proxy"
	"polyclam/proxy/spool"
	"polyclam/test/testkit"
)

// fakeConfig is a backend's configuration; its Open fails for "unix:/bad".
type fakeConfig struct {
	open int // backends not closed
}

func (c *fakeConfig) Open(address string) (backends.Backend, error) {
	if address == "unix:/bad" {
		return nil, errors.Join(backends.KeyErrorf("words[1]", "write another"), errors.New("everything is wrong"), backends.OneOf("kind", "two", "one", "too"))
	}
	c.open++
	return &fakeBackend{config: c}, nil
}

type fakeBackend struct{ config *fakeConfig }

func (b *fakeBackend) Scan(context.Context, backends.Object) (backends.Result, error) {
	return backends.Clean(0), nil
}

func (b *fakeBackend) Close() error {
	b.config.open--
	return nil
}

var _ io.Closer = (*fakeBackend)(nil)

func TestBuild(t *testing.T) {
	f := mustParse(t, "scan_paths = [\"/srv\"]\n"+oneListener+"answer_within = \"7s\"\npath_commands = false\n"+oneEngine+
		"required = false\n[limits]\nconnections = 77\n[log]\nsha256 = true\n[spool]\nwait = \"3s\"\npath_mode = \"0640\"\n")
	s, err := spool.New(f.Spool())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := f.Build(s, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Engines[0].Close()
	l := c.Listeners[0]
	if l.Address != "unix:/run/polyclam/clamd.sock" || l.PathCommands || !l.ReloadCommand || l.Profile.AnswerWithin.Seconds() != 7 || l.Policy.Validate() != nil || l.Profile.Client != "generic" {
		t.Errorf("listener %+v", l)
	}
	if u := c.Engines[0]; u.Name() != "clamav" || u.Kind() != "clamd" || u.Required() {
		t.Errorf("engine %q, %q, required %v", u.Name(), u.Kind(), u.Required())
	}
	if c.Limits.Connections != 77 || c.Hash != proxy.HashAlways || len(c.ScanPaths) != 1 {
		t.Errorf("configuration %+v", c)
	}
	if cfg := f.Spool(); cfg.Wait.Seconds() != 3 || cfg.PathMode != 0o640 || cfg.Memory != 256<<10 || cfg.Total != 2<<30 {
		t.Errorf("spool %+v", cfg)
	}
}

// TestBuildClosesOnError has a node that opens before one that does not, in the
// same engine and in another.
func TestBuildClosesOnError(t *testing.T) {
	good, bad := &fakeConfig{}, &fakeConfig{}
	f := newFile("")
	f.Engines = []Engine{
		{Name: "a", config: good, Addresses: []string{"unix:/1", "unix:/2"}},
		{Name: "b", config: bad, Addresses: []string{"unix:/1", "unix:/bad"}},
	}
	c, err := f.Build(nil, zerolog.Nop())
	if err == nil || c != nil || !strings.Contains(err.Error(), "engine.words: write another") {
		t.Fatalf("Build = %v, %v", c, err)
	}
	if good.open != 0 || bad.open != 0 {
		t.Errorf("%d and %d backends are still open", good.open, bad.open)
	}
}

// TestOpenEngine has a node that does not open among those that do, and an error with
// its key.
func TestOpenEngine(t *testing.T) {
	c := &fakeConfig{}
	e := Engine{config: c, Addresses: []string{"unix:/1", "unix:/2", "unix:/bad", "unix:/3"}}
	lines, _ := position.Find("[[engine]]\nx = 1\nwords = [\"a\",\n\"b\"]\n")
	r := &report{file: "f", lines: lines}
	openEngine(&e, r, "engine[0]")
	if c.open != 0 {
		t.Errorf("%d backends are still open", c.open)
	}
	want := "f:4: engine.words: write another\nf:1: engine: everything is wrong\nf:1: engine.kind: unknown value \"two\"; did you mean \"too\"?"
	if got := r.problems.Error(); got != want {
		t.Errorf("problems\n%s\nwant\n%s", got, want)
	}
}

func TestRuntimeDirectory(t *testing.T) {
	long := "/" + strings.Repeat("x", 100)
	user := t.TempDir()
	t.Setenv("TMPDIR", "/tmp-of-test")
	for name, test := range map[string]struct {
		env  map[string]string
		want string // "": as without the variable
	}{
		"systemd":             {map[string]string{"RUNTIME_DIRECTORY": "/run/x"}, "/run/x"},
		"two of systemd":      {map[string]string{"RUNTIME_DIRECTORY": "/run/x:/run/y"}, "/run/x"},
		"too long":            {map[string]string{"RUNTIME_DIRECTORY": long}, ""},
		"relative":            {map[string]string{"RUNTIME_DIRECTORY": "run"}, ""},
		"relative of a user":  {map[string]string{"XDG_RUNTIME_DIR": "run"}, ""},
		"missing of a user":   {map[string]string{"XDG_RUNTIME_DIR": "/none/none"}, ""},
		"systemd over user's": {map[string]string{"RUNTIME_DIRECTORY": "/run/x", "XDG_RUNTIME_DIR": user}, "/run/x"},
	} {
		none := runtimeDirectory(func(string) string { return "" })
		want := test.want
		if want == "" {
			want = none
		}
		if got := runtimeDirectory(func(k string) string { return test.env[k] }); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		if none != "/run/polyclam" && !strings.HasPrefix(none, "/tmp-of-test/polyclam-") {
			t.Errorf("without anything: %q", none)
		}
	}
}

func TestFindClamd(t *testing.T) {
	dir := testkit.SocketDir(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	live := func(name string) net.Listener {
		ln, err := net.Listen("unix", at(name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
		return ln
	}
	dead := live("dead").(*net.UnixListener)
	dead.SetUnlinkOnClose(false)
	dead.Close()
	live("live")
	live("own")
	for _, link := range [][2]string{{"own", "own-link"}, {"missing", "dangling"}, {"future", "future-link"}} {
		if err := os.Symlink(at(link[0]), at(link[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(at("file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, want string
		sockets    []string
	}{
		{"none", "", []string{"missing", "file", "dangling"}},
		{"answers", "live", []string{"missing", "live"}},
		{"does not answer now", "dead", []string{"missing", "dead"}},
		{"the one that answers", "live", []string{"dead", "live"}},
		{"our own", "", []string{"own", "own-link"}},
	} {
		var sockets []string
		for _, s := range test.sockets {
			sockets = append(sockets, at(s))
		}
		want := ""
		if test.want != "" {
			want = at(test.want)
		}
		if got := findClamd(sockets, at("own")); got != want {
			t.Errorf("%s: %q, want %q", test.name, got, want)
		}
	}
}

func TestDefault(t *testing.T) {
	t.Setenv("RUNTIME_DIRECTORY", "/run/x")
	f := Default()
	if f.Name != DefaultName || len(f.Listeners) != 2 || f.Listeners[0].Address != "tcp:127.0.0.1:3310" || f.Listeners[1].Address != "unix:/run/x/clamd.sock" {
		t.Errorf("listeners %+v", f.Listeners)
	}
	last := f.Engines[len(f.Engines)-1]
	if last.Backend != "inspect" || last.config == nil {
		t.Errorf("engines %+v", f.Engines)
	}
	for _, u := range f.Engines {
		if !u.Required {
			t.Errorf("%s is not required", u.Name)
		}
	}
	c, err := f.Build(nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range c.Engines {
		u.Close()
	}
}

// TestBackendsNameTheirKeys opens every backend with wrong values. Each error must name
// a key of the backend, so that it is reported at its line.
func TestBackendsNameTheirKeys(t *testing.T) {
	for _, row := range registry.Rows() {
		name := row.Key
		zero := reflect.New(reflect.TypeOf(row.NewConfig()).Elem()).Interface().(backends.Config)
		known := append(decode.Keys(zero), "address")
		for _, address := range []string{"", "unix:relative", "tcp:a b:80"} {
			_, err := zero.Open(address)
			if err == nil && name != "inspect" {
				t.Errorf("%s: no error for %q", name, address)
			}
			for _, one := range flatten(err) {
				key, ok := one.(*backends.KeyError)
				if !ok && name == "command" {
					continue // there is no program, for which there are two keys
				}
				if !ok {
					t.Errorf("%s: %v names no key", name, one)
					continue
				}
				top, _, _ := strings.Cut(key.Key, ".")
				top, _, _ = strings.Cut(top, "[")
				if !slices.Contains(known, top) || strings.HasPrefix(key.Err.Error(), top) {
					t.Errorf("%s: key %q, error %q", name, key.Key, key.Err)
				}
			}
		}
	}
}

func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	switch {
	case err == nil:
		return nil
	case !ok:
		return []error{err}
	}
	var all []error
	for _, one := range joined.Unwrap() {
		all = append(all, flatten(one)...)
	}
	return all
}

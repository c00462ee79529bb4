package config

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// summary describes the listeners and the engines of a file.
func summary(f *File) string {
	var out []string
	for _, l := range f.Listeners {
		out = append(out, l.Address+" "+l.Client)
	}
	for _, e := range f.Engines {
		out = append(out, e.Name+" "+strings.Join(e.Addresses, ","))
	}
	return strings.Join(out, "; ")
}

const overriddenFile = `
[[listener]]
address = "tcp:127.0.0.1:3310"
client = "rspamd"
[[engine]]
name = "a"
backend = "clamd"
address = "tcp:a:3310"
`

func TestOverride(t *testing.T) {
	const two = overriddenFile + "[[engine]]\nname = \"b\"\nbackend = \"clamd\"\naddress = \"tcp:b:3310\"\n"
	const other = "[[listener]]\naddress = \"unix:/x\"\n[[engine]]\nname = \"clamav\"\nbackend = \"inspect\"\n"
	for _, tt := range []struct{ name, file, listen, clamd, want string }{
		{"nothing", overriddenFile, "", "", "tcp:127.0.0.1:3310 rspamd; a tcp:a:3310"},
		{"blank", overriddenFile, " , ", ",", "tcp:127.0.0.1:3310 rspamd; a tcp:a:3310"},
		{"listen", overriddenFile, "tcp:0.0.0.0:3310, unix:/run/x", "", "tcp:0.0.0.0:3310 generic; unix:/run/x generic; a tcp:a:3310"},
		{"listen on the same", overriddenFile, "unix:/run/x,TCP:127.0.0.1:3310", "", `environment variable POLYCLAM_LISTEN: "TCP:127.0.0.1:3310": write "unix:/path/of/socket" or "tcp:host:port"`},
		{"keys stay", overriddenFile, "unix:/run/x,tcp:127.0.0.1:3310", "", "unix:/run/x generic; tcp:127.0.0.1:3310 rspamd; a tcp:a:3310"},
		{"twice", overriddenFile, "unix:/run/x,unix:/run//x", "", `environment variable POLYCLAM_LISTEN: "unix:/run//x" is in the list twice`},
		{"clamd", overriddenFile, "", "tcp:b:3310,tcp:c:3310", "tcp:127.0.0.1:3310 rspamd; a tcp:b:3310,tcp:c:3310"},
		{"port 0", overriddenFile, "", "tcp:b:0", `environment variable POLYCLAM_CLAMD: "tcp:b:0": write "tcp:host:port", for example "tcp:127.0.0.1:3310" or "tcp:[::1]:3310"`},
		{"clamd is added", other[:strings.Index(other, "[[engine")] + "[[engine]]\nname = \"i\"\nbackend = \"inspect\"\n", "", "tcp:b:3310", "unix:/x generic; clamav tcp:b:3310; i "},
		{"name taken", other, "", "tcp:b:3310", `environment variable POLYCLAM_CLAMD: config.toml has an engine "clamav" with another backend; rename it, or add an engine with backend = "clamd"`},
		{"two engines", two, "", "tcp:c:3310", `environment variable POLYCLAM_CLAMD: config.toml has two engines with backend = "clamd", "a" and "b"; write the addresses there`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Parse("config.toml", []byte(tt.file))
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if err := f.Override(func(name string) string { return map[string]string{EnvListen: tt.listen, EnvClamd: tt.clamd}[name] }); err != nil {
				got = err.Error()
			} else {
				got = summary(f)
			}
			if got != tt.want {
				t.Errorf("got\n%s, want\n%s", got, tt.want)
			}
		})
	}
}

// TestDropAdmin has no place for the admin socket of the embedded default.
func TestDropAdmin(t *testing.T) {
	for _, tt := range []struct {
		name, dir string
		keep      bool
	}{{DefaultName, "/proc/none/none", false}, {DefaultName, filepath.Join(t.TempDir(), "run"), true}, {"config.toml", "/proc/none/none", true}} {
		f := Default()
		f.Name, f.Admin.Address = tt.name, adminSocket(tt.dir)
		env := func(key string) string {
			return map[string]string{EnvListen: "tcp:127.0.0.1:3310"}[key]
		}
		if err := f.Override(env); err != nil {
			t.Fatal(err)
		}
		isThere := slices.ContainsFunc(f.Services, func(l Listener) bool { return l.Service == ServiceAdmin })
		if isThere != tt.keep || (f.Admin.Address != "") != tt.keep {
			t.Errorf("%+v: %q, %v", tt, f.Admin.Address, f.Services)
		}
	}
}

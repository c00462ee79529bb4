package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/test/testkit"
)

func TestNoShell(t *testing.T) {
	b := open(t, func(c *Config) {
		c.Argv = []string{"/bin/echo", "$(touch /nonexistent)", "`id`", "a;b|c>d", "*", "x{path}y"}
		c.Exit = map[string]string{"0": "?swerr"}
		c.VirusRegex = `^(\$\(touch /nonexistent\) .id. a;b\|c>d \* x/.*y)$`
	})
	o := backendtest.CleanObject(t)
	r, err := b.Scan(t.Context(), o)
	path, _ := o.Path()
	if err != nil || len(r.Findings) != 1 || !strings.HasSuffix(r.Findings[0].Name, " x"+path+"y") {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestEnvironment checks that a program gets the documented environment, and nothing of the
// daemon's.
func TestEnvironment(t *testing.T) {
	t.Setenv("POLYCLAM_SECRET", "x")
	const script = `
[ "$(pwd)" = / ] || echo "FOUND directory $(pwd)"
[ "$(env | cut -d= -f1 | grep -vx -e PWD -e SHLVL -e _ -e OLDPWD | sort | tr '\n' ' ')" = "EXTRA LANG LC_ALL PATH " ] || echo "FOUND env $(env | tr '\n' ' ')"
[ "$LANG$LC_ALL$EXTRA" = "CC a b" ] || echo "FOUND values"
[ "$(readlink /proc/self/fd/0)" = /dev/null ] || echo "FOUND stdin"
[ "$(readlink /proc/$$/fd/1)" = "$(readlink /proc/$$/fd/2)" ] || echo "FOUND two outputs"
[ "$(cut -d' ' -f5 /proc/$$/stat)" = $$ ] || echo "FOUND group"
[ "$(cut -d' ' -f3 /proc/self/stat)" = R ] || echo "FOUND state"
`
	b := open(t, shell(script, func(c *Config) { c.Env = map[string]string{"EXTRA": " a b"} }))
	if r, err := b.Scan(t.Context(), backendtest.CleanObject(t)); err != nil || r.Category != backends.OK {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestDescriptors checks that a program gets three descriptors, however many the daemon has
// open. Besides these, ls lists the directory it reads, and what the parent of the test
// left open.
func TestDescriptors(t *testing.T) {
	list := func() string {
		e, err := run(t.Context(), job{argv: []string{"/bin/ls", "/proc/self/fd"}, limit: 1000, after: func() alteration { return alteration{} }})
		if err != nil || !strings.HasPrefix(string(e.output), "0\n1\n") {
			t.Fatalf("%q, %v", e.output, err)
		}
		return string(e.output)
	}
	before := list()
	for range 20 {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		defer w.Close()
	}
	if after := list(); after != before {
		t.Errorf("%q, was %q", after, before)
	}
}

// TestStartErrors tries each way in which a program cannot be started.
func TestStartErrors(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	garbage, orphan := filepath.Join(dir, "garbage"), filepath.Join(dir, "orphan")
	testkit.WriteProgram(t, garbage, []byte("\x7fELF garbage"))
	testkit.WriteProgram(t, orphan, []byte("#!/nonexistent/interpreter\n"))
	inPath := func(c *Config) { c.Env = map[string]string{"PATH": "relative:" + dir} }
	for _, tt := range []struct {
		name, program string
		set           func(*Config)
		want          backends.Category
		message       string
	}{
		{"missing", filepath.Join(dir, "missing"), nil, backends.NotInstalled,
			"command clamscan: cannot start " + filepath.Join(dir, "missing") + ": no such file or directory (key program)"},
		{"missing in PATH", "polyclam-no-such-scanner", nil, backends.NotInstalled,
			"command clamscan: cannot start polyclam-no-such-scanner: not found in PATH (" + defaultPath + "); install it or set its full path (key program)"},
		{"no interpreter", orphan, nil, backends.NotInstalled, "no such file or directory"},
		{"not executable", plain, nil, backends.CannotExecute, "permission denied"},
		{"not executable in PATH", "plain", inPath, backends.CannotExecute, "command clamscan: cannot start plain: permission denied (key program)"},
		{"not a program", garbage, nil, backends.CannotExecute, "exec format error"},
		{"a directory", dir, nil, backends.CannotExecute, "permission denied"},
		{"below a file", plain + "/x", nil, backends.CannotExecute, "not a directory"},
		{"arguments too long", "/bin/true", func(c *Config) { c.ExtraArgs = []string{strings.Repeat("x", 1<<20)} }, backends.CannotExecute, "argument list too long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			backendtest.NoLeaks(t)
			b := open(t, func(c *Config) {
				preset("clamscan", tt.program)(c)
				if tt.set != nil {
					tt.set(c)
				}
			})
			r, err := b.Scan(t.Context(), backendtest.CleanObject(t))
			if err == nil || backends.CategoryOf(err) != tt.want || !strings.Contains(err.Error(), tt.message) {
				t.Errorf("%+v, %v (%v), want %v and %s", r, err, backends.CategoryOf(err), tt.want, tt.message)
			}
			v, err := b.(backends.Versioner).Version(t.Context())
			if tt.name != "arguments too long" && (err == nil || backends.CategoryOf(err) != tt.want) {
				t.Errorf("version %+v, %v", v, err)
			}
		})
	}
}

package inspect

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/inspect/internal/build"
	"polyclam/backends/inspect/internal/walk"
	"polyclam/backends/testfile"
)

// open returns a backend with the default configuration, modified by change unless that is
// nil.
func open(tb testing.TB, change func(*Config)) *Backend {
	tb.Helper()
	c, ok := NewConfig().(*Config)
	if !ok {
		tb.Fatal("NewConfig is not a *Config")
	}
	c.MaxTime = time.Minute // the machine may be busy
	if change != nil {
		change(c)
	}
	b, err := c.Open("")
	if err != nil {
		tb.Fatal(err)
	}
	backend, ok := b.(*Backend)
	if !ok {
		tb.Fatalf("Open returned a %T", b)
	}
	return backend
}

func writeFile(tb testing.TB, name, text string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func scan(tb testing.TB, b *Backend, data []byte) backends.Result {
	tb.Helper()
	r, err := b.Scan(tb.Context(), backendtest.Bytes(tb, data))
	if err != nil {
		tb.Fatal(err)
	}
	if problem := backendtest.Check(r); problem != "" {
		tb.Fatalf("%+v: %s", r, problem)
	}
	if want := map[backends.Category]int{backends.OK: 0, backends.Virus: 1, backends.Encrypted: 2, backends.Partial: 3}[r.Category]; r.Code != want {
		tb.Fatalf("%+v: code %d, want %d", r, r.Code, want)
	}
	return r
}

// wantFinding checks the category and the names of all findings. An empty name means none.
func wantFinding(t *testing.T, r backends.Result, category backends.Category, names ...string) {
	t.Helper()
	var got []string
	for _, f := range r.Findings {
		got = append(got, f.Name)
	}
	if len(names) == 1 && names[0] == "" {
		names = nil
	}
	if r.Category != category || !slices.Equal(got, names) {
		t.Errorf("%+v, want %v %q", r, category, names)
	}
}

// wantDetail wants an encrypted result with one finding of this name, and the detail.
func wantDetail(t *testing.T, r backends.Result, name, detail string) {
	t.Helper()
	wantFinding(t, r, backends.Encrypted, name)
	if r.Detail != detail {
		t.Errorf("detail %q, want %q", r.Detail, detail)
	}
}

// wantFirst is wantFinding, but ignores a second finding that is partial.
func wantFirst(t *testing.T, r backends.Result, category backends.Category, name string) {
	t.Helper()
	only := r
	if len(r.Findings) > 1 && r.Findings[1].Category == backends.Partial {
		only.Findings = r.Findings[:1]
	}
	wantFinding(t, only, category, name)
}

// isCutOff reports whether the only finding is a truncated container.
func isCutOff(r backends.Result) bool {
	return r.Category == backends.Partial && len(r.Findings) == 1 && r.Findings[0].Name == walk.UnscannedCutOff
}

func TestEICAR(t *testing.T) {
	b := open(t, nil)
	eicar := string(testfile.EICAR())
	if len(eicar) != 68 {
		t.Fatalf("EICAR has %d bytes", len(eicar))
	}
	for _, c := range []struct {
		name, data string
		virus      bool
	}{
		{"alone", eicar, true},
		{"newline", eicar + "\r\n", true},
		{"all white space", eicar + " \t\r\n\x1a", true},
		{"128 bytes", eicar + strings.Repeat(" ", 60), true},
		{"129 bytes", eicar + strings.Repeat(" ", 61), false},
		{"followed by a letter", eicar + "x", false},
		{"followed by white space and a letter", eicar + "\n\nx", false},
		{"followed by a NUL", eicar + "\x00", false},
		{"followed by a vertical tab", eicar + "\v", false},
		{"preceded by a blank", " " + eicar, false},
		{"truncated", eicar[:67], false},
		{"lower case", strings.ToLower(eicar), false},
		{"twice", eicar + eicar, false},
		{"blanks", strings.Repeat(" ", 68), false},
		{"empty", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := scan(t, b, []byte(c.data))
			if c.virus {
				wantFinding(t, r, backends.Virus, "Eicar-Test-Signature")
				return
			}
			wantFinding(t, r, backends.OK, "")
		})
	}
}

func TestEncryptedOff(t *testing.T) {
	b := open(t, func(c *Config) { c.Encrypted = false })
	wantFinding(t, scan(t, b, testfile.Encrypted()), backends.OK, "")
	wantFinding(t, scan(t, b, testfile.EICAR()), backends.Virus, "Eicar-Test-Signature")
}

// stop ends the context at the n-th read.
type stop struct {
	*backendtest.Object
	n      int
	cancel context.CancelCauseFunc
	reads  int
}

var errEnough = errors.New("enough")

func (s *stop) ReadAt(p []byte, off int64) (int, error) {
	if s.reads++; s.reads == s.n {
		s.cancel(errEnough)
	}
	return s.Object.ReadAt(p, off)
}

// TestContextEndsWhileHashing checks that at most one more read follows the end of the
// context.
func TestContextEndsWhileHashing(t *testing.T) {
	list := writeFile(t, "x.hsb", strings.Repeat("0", 64)+":*:X")
	b := open(t, func(c *Config) { c.Hashes = []string{list} })
	ctx, cancel := context.WithCancelCause(t.Context())
	c := &stop{Object: backendtest.LargeObject(t, 4<<20), n: 3, cancel: cancel}
	_, err := b.Scan(ctx, c)
	if !errors.Is(err, errEnough) {
		t.Fatalf("%v, want the cause", err)
	}
	if c.reads != 3 {
		t.Errorf("%d reads, but the context ended at the third", c.reads)
	}
}

func TestContextEndsInZip(t *testing.T) {
	data := build.Zip(t, build.ManyMembers(1000)...)
	for _, n := range []int{1, 2, 3, 10, 100} {
		ctx, cancel := context.WithCancelCause(t.Context())
		c := &stop{Object: backendtest.Bytes(t, data), n: n, cancel: cancel}
		_, err := open(t, nil).Scan(ctx, c)
		if !errors.Is(err, errEnough) {
			t.Errorf("read %d: %v, want the cause", n, err)
		}
		if c.reads > n {
			t.Errorf("%d reads, but the context ended at read %d", c.reads, n)
		}
	}
}

// failing fails from the n-th read on.
type failing struct {
	*backendtest.Object
	n   int
	err error
}

func (f *failing) ReadAt(p []byte, off int64) (int, error) {
	if f.n--; f.n < 0 {
		return 0, f.err
	}
	return f.Object.ReadAt(p, off)
}

// TestUnreadable checks that a failing read fails the scan, wherever it happens: an
// unreadable object is not a broken archive.
func TestUnreadable(t *testing.T) {
	b := open(t, nil)
	data := build.Zip(t, build.ManyMembers(5)...)
	whole := &stop{Object: backendtest.Bytes(t, data), n: -1}
	if _, err := b.Scan(t.Context(), whole); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("disk on fire")
	for n := range whole.reads {
		r, err := b.Scan(t.Context(), &failing{backendtest.Bytes(t, data), n, broken})
		if !errors.Is(err, broken) {
			t.Errorf("read %d of %d fails: %+v, %v", n, whole.reads, r, err)
		}
	}
}

package clamd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// withoutFile is an object without a file.
type withoutFile struct{ *backendtest.Object }

func (withoutFile) File() (*os.File, error) { return nil, os.ErrNotExist }
func (withoutFile) Path() (string, error)   { return "", os.ErrNotExist }

// short is an object that is shorter than its size.
type short struct{ *backendtest.Object }

func (s short) Size() int64             { return s.Object.Size() + 1 }
func (s short) File() (*os.File, error) { return nil, os.ErrNotExist }

func TestAutoWithoutDescriptor(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{want(session + instream), say("1: stream: OK\x00"), backendtest.Drain()})
	if r, err := open(t, d.Address(), transportAuto).Scan(backendtest.Context(t), withoutFile{x(t)}); err != nil || r.Category != backends.OK {
		t.Errorf("got %+v, %v", r, err)
	}
	_, err := open(t, d.Address(), transportFildes).Scan(backendtest.Context(t), withoutFile{x(t)})
	if err == nil || backends.CategoryOf(err) != backends.SWErr {
		t.Errorf("fildes: got %v", err)
	}
}

// TestDescriptorDoesNotArrive checks that auto switches to stream permanently.
func TestDescriptorDoesNotArrive(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix",
		backendtest.Script{want(session + "zFILDES\x00\x00"), recorded("1: No file descriptor received. ERROR\x00"), backendtest.CloseWrite(), backendtest.Drain()},
		backendtest.Script{want(session + instream), say("1: stream: X FOUND\x00"), want(instream), say("2: stream: OK\x00"), backendtest.Drain()})
	b := open(t, d.Address(), transportAuto)
	for _, want := range []backends.Category{backends.Virus, backends.OK} {
		if r, err := b.Scan(backendtest.Context(t), x(t)); err != nil || r.Category != want {
			t.Errorf("got %+v, %v", r, err)
		}
	}
}

func TestShortObject(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{backendtest.Drain()})
	for _, transport := range []string{transportStream, transportAuto, transportPath} {
		r, err := open(t, d.Address(), transport).Scan(backendtest.Context(t), short{x(t)})
		if err == nil || backends.CategoryOf(err) != backends.SWErr {
			t.Errorf("%s: got %+v, %v", transport, r, err)
		}
	}
	for i := range d.Connections() {
		if got := string(d.Received(i)); strings.Contains(got, "\x00\x00\x00\x00") {
			t.Errorf("the stream was ended: %q", got)
		}
	}
}

// TestPath checks that the real path is sent, and that only an answer about it counts.
func TestPath(t *testing.T) {
	o := x(t)
	real := backendtest.RealPath(t, o)
	link := filepath.Join(t.TempDir(), "link: OK")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		reply string
		want  backends.Category
	}{
		{"1: " + real + ": OK\x00", backends.OK},
		{"1: " + real + ": X FOUND\x00", backends.Virus},
		{"1: " + real + "/x: X FOUND\x00", backends.SWErr},
		{"1: " + link + ": OK\x00", backends.SWErr},
		{"1: /x: OK\x00", backends.SWErr},
		{"1: stream: OK\x00", backends.SWErr},
		{"1: " + real + ": File path check failure: No such file or directory. ERROR\x00", backends.SWErr},
		{"1: " + real + ": lstat() failed: No such file or directory. ERROR\x00", backends.SWErr},
		{"1: " + real + ": Access denied. ERROR\x00", backends.SWErr},
		{"1: " + real + ": Not supported file type ERROR\x001: " + real + ": OK\x00", backends.SWErr},
		{"1: " + real + ": Excluded\x00", backends.SWErr},
	}
	for _, tt := range tests {
		d := backendtest.StartDaemon(t, "unix", backendtest.Script{want(session + "zSCAN " + real + "\x00"), say(tt.reply), backendtest.Drain()})
		r, err := open(t, d.Address(), transportPath).Scan(backendtest.Context(t), backendtest.AtPath(o, link))
		got := r.Category
		if err != nil {
			got = backends.CategoryOf(err)
		}
		if got != tt.want {
			t.Errorf("%q: got %+v, %v", tt.reply, r, err)
		}
		if strings.Contains(tt.reply, "Access denied") && !strings.Contains(err.Error(), `transport = "stream"`) {
			t.Errorf("no hint in %v", err)
		}
	}
}

func TestPathRefuses(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken")
	if err := os.Symlink(filepath.Join(dir, "missing"), broken); err != nil {
		t.Fatal(err)
	}
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{backendtest.Drain()})
	b := open(t, d.Address(), transportPath)
	for _, path := range []string{dir, broken, "/dev/null", "/proc/version", filepath.Join(dir, "missing"), "relative", ""} {
		r, err := b.Scan(backendtest.Context(t), backendtest.AtPath(x(t), path))
		if err == nil || backends.CategoryOf(err) != backends.SWErr {
			t.Errorf("%q: got %+v, %v", path, r, err)
		}
	}
	if n := d.Connections(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

// described is a sealed object that hands out its descriptor without a file.
type described struct {
	*backendtest.Object
	files *int // calls of File
}

func (described) Sealed() bool { return true }

func (d described) Descriptor() (int, bool, error) {
	f, err := d.Object.File()
	if err != nil {
		return -1, false, err
	}
	return int(f.Fd()), true, nil
}

func (d described) File() (*os.File, error) {
	*d.files++
	return d.Object.File()
}

// TestDescribed checks that a session passes the descriptor without a file, and that a
// connection for one scan passes the file: neither falls back to a stream.
func TestDescribed(t *testing.T) {
	for _, c := range []struct {
		sessions    bool
		send, reply string
		files       int
	}{
		{true, session + "zFILDES\x00\x00", "1: fd[5]: X FOUND\x00", 0},
		{false, "zFILDES\x00\x00", "fd[5]: X FOUND\x00", 1},
	} {
		d := backendtest.StartDaemon(t, "unix", backendtest.Script{want(c.send), say(c.reply), backendtest.CloseWrite(), backendtest.Drain()})
		b := backendtest.Open(t, NewConfig, d.Address(), func(config *Config) { config.Transport, config.Sessions = transportAuto, c.sessions }).(*Backend)
		files := 0
		if r, err := b.Scan(backendtest.Context(t), described{x(t), &files}); err != nil || r.Category != backends.Virus {
			t.Errorf("sessions %v: got %+v, %v", c.sessions, r, err)
		}
		if files != c.files {
			t.Errorf("sessions %v: File was called %d times, want %d", c.sessions, files, c.files)
		}
	}
}

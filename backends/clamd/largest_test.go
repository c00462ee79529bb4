package clamd

import (
	"os"
	"path/filepath"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/protocol"
)

// sparse is an object in a sparse file.
type sparse struct {
	backends.Object
	f    *os.File
	size int64
}

func newSparse(t *testing.T, size int64) sparse {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "sparse"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return sparse{f: f, size: size}
}

func (s sparse) Size() int64             { return s.size }
func (s sparse) File() (*os.File, error) { return s.f, nil }
func (s sparse) Path() (string, error)   { return s.f.Name(), nil }

// TestLargest checks that an OK does not count for objects of 2 GiB - 2 bytes and more,
// which clamd does not scan.
func TestLargest(t *testing.T) {
	const largest = 2147483645
	for _, tt := range []struct {
		size         int64
		answer, want string
		detail       string
	}{
		{largest, "OK", "ok", ""},
		{largest + 1, "OK", "partial", "clamd scans nothing of more than 2147483645 bytes"},
		{3 << 30, "OK", "partial", "clamd scans nothing of more than 2147483645 bytes"},
		{largest + 1, "Heuristics.Limits.Exceeded.MaxFileSize FOUND", "partial", ""},
		{largest + 1, "X FOUND", "virus", ""},
		{largest + 1, "Can't allocate memory ERROR", "swerr", ""},
	} {
		c := newSparse(t, tt.size)
		path := c.f.Name()
		for _, way := range []struct {
			transport, sent, object string
			sessions                bool
			scan                    func(*Backend) (backends.Result, error)
		}{
			{transportFildes, session + "zFILDES\x00\x00", "1: fd[3]", true, nil},
			{transportFildes, "zFILDES\x00\x00", "fd[3]", false, nil},
			{transportPath, session + "zSCAN " + path + "\x00", "1: " + path, true, nil},
			{transportPath, "zSCAN " + path + "\x00", path, false, nil},
			{transportPath, "zALLMATCHSCAN " + path + "\x00", path, true, func(b *Backend) (backends.Result, error) { return b.ScanAll(backendtest.Context(t), c) }},
		} {
			if way.scan == nil {
				way.scan = func(b *Backend) (backends.Result, error) { return b.Scan(backendtest.Context(t), c) }
			}
			d := backendtest.StartDaemon(t, "unix", backendtest.Script{want(way.sent), say(way.object + ": " + tt.answer + "\x00"), backendtest.CloseWrite(), backendtest.Drain()})
			r, err := way.scan(openFor(t, d.Address(), way.transport, way.sessions))
			if categories(r, err) != tt.want || r.Detail != tt.detail {
				t.Errorf("%d bytes, %q, %q: got %+v, %v, want %s %q", tt.size, way.sent, tt.answer, r, err, tt.want, tt.detail)
			}
		}
		// A real stream of that size would take too long.
		reply, err := protocol.ParseReply("stream: "+tt.answer, protocol.ObjectStream)
		if err != nil {
			t.Fatal(err)
		}
		var a backends.Answer
		add(&a, reply, "", c.Size())
		if r, err := a.Result(); categories(r, err) != tt.want || r.Detail != tt.detail {
			t.Errorf("%d bytes, stream, %q: got %+v, %v, want %s %q", tt.size, tt.answer, r, err, tt.want, tt.detail)
		}
	}
}

package line

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// streaming asks with a content, and takes the answer of an engine that did not
// want all of it, as an engine's package does.
func streaming(c backends.Content) func(*Conn, *Tally) error {
	return func(conn *Conn, t *Tally) error {
		if err := conn.Command("Q\n"); err != nil {
			return err
		}
		sent := conn.Stream(c)
		if sent != nil && !errors.Is(sent, ErrEarly) {
			return sent
		}
		text, err := conn.Line()
		if err != nil {
			return err
		}
		t.Add(backends.Category(text), 1, text)
		return sent
	}
}

func TestStream(t *testing.T) {
	for _, size := range []int{0, 1, 32 << 10, 32<<10 + 1, 1 << 20} {
		content := backendtest.LargeContent(t, size)
		script := backendtest.Script{say("HELLO\n"), want("Q\n"), func(s *backendtest.Session) error {
			got := make([]byte, size)
			if _, err := io.ReadFull(s, got); err != nil {
				return err
			}
			if !bytes.Equal(got, content.Data()) {
				t.Errorf("%d bytes: they are not the same", size)
			}
			return nil
		}, say("ok\n"), want("Q\n"), backendtest.Discard(int64(size)), say("partial\n"), backendtest.Drain()}
		d := backendtest.StartDaemon(t, "unix", script)
		c := client(t, d.Address())
		for _, want := range []backends.Category{backends.OK, backends.Partial} {
			if r, err := c.Scan(testContext(t), streaming(content)); category(r, err) != want {
				t.Errorf("%d bytes: got %+v, %v", size, r, err)
			}
		}
	}
}

// TestStreamEarly: whatever an engine does before it has all, the scan ends, and
// what it says is not about the whole.
func TestStreamEarly(t *testing.T) {
	for name, steps := range map[string]backendtest.Script{
		"reads no further": {say("ok\n"), backendtest.Hang()},
		"closes":           {say("ok\n"), backendtest.CloseWrite(), backendtest.Close()},
		"resets":           {backendtest.Discard(1000), backendtest.Reset()},
		"closes silently":  {backendtest.Discard(1000), backendtest.Close()},
	} {
		t.Run(name, func(t *testing.T) {
			backendtest.NoLeaks(t)
			d := backendtest.StartDaemon(t, "tcp", append(backendtest.Script{say("HELLO\n"), want("Q\n")}, steps...))
			c := client(t, d.Address())
			if r, err := c.Scan(testContext(t), streaming(backendtest.LargeContent(t, 16<<20))); err == nil {
				t.Errorf("got %+v", r)
			}
			if c.pool.Len() > 0 {
				t.Error("the connection is kept")
			}
		})
	}
}

// short is a content that ends before its size.
type short struct{ *backendtest.Content }

func (short) Size() int64 { return 100 << 10 }

func TestStreamShort(t *testing.T) {
	backendtest.NoLeaks(t)
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{say("HELLO\n"), want("Q\n"), backendtest.Drain(), say("ok\n")})
	r, err := client(t, d.Address()).Scan(testContext(t), streaming(short{backendtest.CleanContent(t)}))
	if category(r, err) != backends.SWErr || err == nil {
		t.Errorf("got %+v, %v", r, err)
	}
}

// at is a content with a path of its own.
type at struct {
	*backendtest.Content
	path string
}

func (c at) Path() (string, error) {
	if c.path == "" {
		return "", os.ErrNotExist
	}
	return c.path, nil
}

func TestPath(t *testing.T) {
	dir := t.TempDir()
	x := backendtest.Bytes(t, []byte("x"))
	file := func(name string, data string) string {
		name = dir + "/" + name
		if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	good := file("good-1_2.3", "x")
	if err := errors.Join(os.Symlink(good, dir+"/link"), os.Symlink(dir+"/a b", dir+"/bad"), os.Mkdir(dir+"/d", 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{good, dir + "/link"} {
		if got, err := Path(at{x, path}); got != good || err != nil {
			t.Errorf("%q: got %q, %v", path, got, err)
		}
	}
	for _, path := range []string{
		file("a b", "x"), file("a\tb", "x"), file("a\nb", "x"), file("a\\b", "x"), file("a|>b", "x"), file("a>b", "x"), file("a;b", "x"),
		file("a?b", "x"), file("a%20b", "x"), file("a\x00b"[:1]+"\xff", "x"), file("ä", "x"), file("longer", "xx"), file("empty", ""),
		dir + "/bad", dir + "/d", dir + "/missing", "/dev/null", "/proc/version", "", "relative",
	} {
		if got, err := Path(at{x, path}); got != "" || err == nil || backends.CategoryOf(err) != backends.SWErr {
			t.Errorf("%q: got %q, %v", path, got, err)
		}
	}
}

func TestTallyOrder(t *testing.T) {
	for i, a := range order {
		for j, b := range order {
			var tally Tally
			tally.Add(a, i, "a")
			tally.Add(b, j, "b")
			if want := order[min(i, j)]; tally.Category() != want || tally.code != min(i, j) {
				t.Errorf("%s and %s: %s, code %d", a, b, tally.Category(), tally.code)
			}
		}
	}
	if len(order) != len(backends.Categories()) {
		t.Error("a category is missing")
	}
}

func TestTallyBounds(t *testing.T) {
	var tally Tally
	long := string(bytes.Repeat([]byte("N"), maxName+1))
	for range 2 * maxFindings {
		tally.Found(backends.Suspicious, 1, long, long)
	}
	tally.Found(backends.Virus, 2, "last", "")
	r, err := tally.result(nil)
	if err != nil || r.Category != backends.Virus || backendtest.Check(r) != "" || len(r.Findings) > maxFindings || len(r.Findings[0].Name) != maxName {
		t.Errorf("%d findings, %s, %v", len(r.Findings), backendtest.Check(r), err)
	}
	tally.Add(backends.Virus, 1, long)
	if r, _ := tally.result(errors.New(long)); len(r.Detail) > maxDetail {
		t.Errorf("%d bytes of detail", len(r.Detail))
	}
	var clean Tally
	clean.Add(backends.OK, 0, "")
	if r, err := clean.result(nil); err != nil || r.Category != backends.OK {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := clean.result(io.EOF); err != io.EOF || r.Category != "" {
		t.Errorf("%+v, %v", r, err)
	}
}

package differential

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"polyclam/test/clamdtest"
)

// The content of the files.
const clean = "nothing to see here\n"

var (
	eicar = clamdtest.EICAR()
	two   = "first " + clamdtest.One + " then " + clamdtest.Two + "\n"
)

// fixture is the tree of files that the paths in dialogues lead to. Both servers see
// the same tree.
type fixture struct {
	t   *testing.T
	dir string
}

// newFixture makes the tree. Its files belong to the test's user. The daemons may read
// all but those named unreadable.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, dir: clamdtest.Dir(t, "")}
	t.Cleanup(f.unlock)
	f.files()
	f.directories()
	f.links()
	f.specials()
	return f
}

func (f *fixture) path(name string) string { return f.dir + "/" + name }

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) write(name, content string) {
	f.t.Helper()
	f.must(os.MkdirAll(filepath.Dir(f.path(name)), 0o755))
	f.must(os.WriteFile(f.path(name), []byte(content), 0o644))
}

func (f *fixture) files() {
	f.write("clean", clean)
	f.write("eicar", eicar)
	f.write("two", two)
	f.write("long", clamdtest.Long)
	f.write("odd", clamdtest.Odd)
	f.write("empty", "")
	f.write("eicar.zip", zipped(f.t, "eicar.com", eicar))
	f.write("both.zip", zipped(f.t, "clean.txt", clean, "eicar.com", eicar, "two.txt", two))
	f.write("large", strings.Repeat("some words of no meaning\n", 8<<10)+clamdtest.One)
	f.write("unreadable", eicar)
	f.must(os.Chmod(f.path("unreadable"), 0))
	f.write("with blank", eicar)
	f.write("x: OK", eicar)
	f.write("x: Name FOUND", clean)
	f.write("new\nline", eicar)
	f.write("latin-\xe4\xf6\xfc-\xff", eicar)
	f.write("utf-8-ä€", eicar)
	f.write("%s%n%x", eicar)
	f.write("trailing ", eicar)
	f.write(" leading", eicar)
	f.write("tab\there", eicar)
	f.write(strings.Repeat("l", 255), eicar)
}

func (f *fixture) directories() {
	f.write("dirbroken/a: OK\nb", eicar)
	f.write("dirclean/a", clean)
	f.write("dirclean/b", clean)
	f.write("dirone/a", clean)
	f.write("dirone/sub/eicar", eicar)
	f.write("dirmany/a/eicar", eicar)
	f.write("dirmany/b/two", two)
	f.write("dirmany/clean", clean)
	f.write("dirmany/c/deeper/one", clamdtest.One)
	f.write("dirtwo/two", two)
	f.must(os.Mkdir(f.path("dirempty"), 0o755))
	f.write("dirnested/dirempty2/clean", clean)
	f.must(os.Mkdir(f.path("dirnested/empty"), 0o755))
	f.write("dirmember/a", clean)
	f.write("dirmember/unreadable", eicar)
	f.must(os.Chmod(f.path("dirmember/unreadable"), 0))
	f.write("dirmemberonly/unreadable", eicar)
	f.must(os.Chmod(f.path("dirmemberonly/unreadable"), 0))
	f.write("dirmembereicar/unreadable", clean)
	f.must(os.Chmod(f.path("dirmembereicar/unreadable"), 0))
	f.write("dirmembereicar/eicar", eicar)
	f.write("dirlocked/eicar", eicar)
	f.write("dirinner/clean", clean)
	f.write("dirinner/locked/eicar", eicar)
	f.must(os.Chmod(f.path("dirinner/locked"), 0))
	f.must(os.Chmod(f.path("dirlocked"), 0))
	f.write("dirlistonly/eicar", eicar)
	f.write("dirlistonly/sub/eicar", eicar)
	f.must(os.Chmod(f.path("dirlistonly"), 0o444))
	f.write("dirlistinner/clean", clean)
	f.write("dirlistinner/only/eicar", eicar)
	f.must(os.Chmod(f.path("dirlistinner/only"), 0o444))
	f.write("dirsearchonly/eicar", eicar)
	f.must(os.Chmod(f.path("dirsearchonly"), 0o111))
	for i := range 60 {
		f.write(fmt.Sprintf("dirwide/%d", i*7919%60), []string{clean, eicar, two}[i%3])
		f.write(fmt.Sprintf("dirwide/d%d/%d", i%4, i), []string{two, clean, eicar}[i%3])
	}
	f.write("dirnames/a: OK", eicar)
	f.write("dirnames/b c", eicar)
	f.write("dirnames/\xff\xfe", eicar)
	for _, depth := range []string{"14", "15", "16", "17"} {
		f.write("depth"+depth+"/"+strings.Repeat("d/", map[string]int{"14": 14, "15": 15, "16": 16, "17": 17}[depth])+"eicar", eicar)
	}
}

func (f *fixture) links() {
	for _, l := range [][2]string{
		{"eicar", "linkfile"}, {"clean", "linkclean"}, {"dirone", "linkdir"}, {"nowhere", "linkbroken"}, {"linkloop", "linkloop"},
		{"linkloopb", "linkloopa"}, {"linkloopa", "linkloopb"}, {"linkfile", "linklink"}, {"unreadable", "linkunreadable"}, {"dirlocked/eicar", "linklocked"},
	} {
		f.must(os.Symlink(l[0], f.path(l[1])))
	}
	f.write("dirlinks/clean", clean)
	f.must(os.Symlink("../eicar", f.path("dirlinks/file")))
	f.must(os.Symlink("../dirone", f.path("dirlinks/dir")))
	f.must(os.Symlink("nowhere", f.path("dirlinks/broken")))
	f.must(os.Symlink(".", f.path("dirlinks/self")))
}

func (f *fixture) specials() {
	f.must(syscall.Mkfifo(f.path("fifo"), 0o644))
	f.listen("socket")
	f.write("dirspecials/clean", clean)
	f.must(syscall.Mkfifo(f.path("dirspecials/fifo"), 0o644))
	f.listen("dirspecials/socket")
}

// listen makes a socket in the tree.
func (f *fixture) listen(name string) {
	l, err := net.Listen("unix", f.path(name))
	f.must(err)
	f.t.Cleanup(func() { l.Close() })
}

// unlock makes everything removable again for an unprivileged user.
func (f *fixture) unlock() {
	filepath.WalkDir(f.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(path, 0o755)
		}
		return nil
	})
}

// zipped is a ZIP archive of name, content, name, content ...
func zipped(t *testing.T, members ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(members); i += 2 {
		m, err := w.Create(members[i])
		if err == nil {
			_, err = m.Write([]byte(members[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

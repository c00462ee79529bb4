package proxy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"polyclam/backends/testfile"
	"polyclam/proxy/client"
	"polyclam/proxy/files"
	"polyclam/test/fusetest"
	"polyclam/test/testkit"
)

// openFile opens a file for the duration of the test. Call it before its file system hangs.
func openFile(t *testing.T, path string, flags int) int {
	t.Helper()
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// fildes sends a descriptor with FILDES and returns the reply without its object.
func (ts *testServer) fildes(fd int) string {
	ts.t.Helper()
	_, words, _ := strings.Cut(ts.askWith("zFILDES\x00x", fd), ": ")
	return words
}

// TestForeignFiles scans files on a file system that might hang. They are copied first.
func TestForeignFiles(t *testing.T) {
	eicar := testfile.EICAR()
	fs := fusetest.Mount(t,
		fusetest.File{Name: "clean", Data: make([]byte, 300<<10)}, fusetest.File{Name: "empty"}, fusetest.File{Name: "eicar", Data: eicar},
		fusetest.File{Name: "large", Data: make([]byte, 1<<20+1)}, fusetest.File{Name: "more", Data: eicar, Size: 3, Direct: true},
		fusetest.File{Name: "less", Data: []byte("x"), Size: 300, Direct: true})
	ts := newServer(t, nil, eicarOnly())
	for _, tt := range []struct{ name, scan, fildes string }{
		{"clean", "OK", "OK"},
		{"empty", "OK", "OK"},
		{"eicar", "Eicar-Test-Signature FOUND", "Eicar-Test-Signature FOUND"},
		{"large", "OK", "OK"}, // partial, whose default action is ok
		{"more", "Can't read file ERROR", "Not a regular file ERROR"},
		{"less", "Can't read file ERROR", "Can't read file ERROR"},
	} {
		if got, want := ts.ask("zSCAN "+fs.Path(tt.name)+"\x00"), fs.Path(tt.name)+": "+tt.scan+"\x00"; got != want {
			t.Errorf("SCAN: got %q, want %q", got, want)
		}
		for _, flags := range []int{unix.O_RDONLY, unix.O_RDWR, unix.O_RDONLY | unix.O_NONBLOCK} {
			if got := ts.fildes(openFile(t, fs.Path(tt.name), flags)); got != tt.fildes+"\x00" {
				t.Errorf("FILDES of %s: got %q, want %q", tt.name, got, tt.fildes)
			}
		}
	}
	got := ts.ask("nXSCAN " + fs.Path("large") + "\n")
	if !strings.Contains(got, "category=partial action=ok") || !strings.HasSuffix(got, "END\n") {
		t.Errorf("XSCAN of a large file: %q", got)
	}
	if !strings.Contains(ts.log.String(), `"reason":"too large to be copied","error":"too large to be copied: it has 1048577 bytes, and limits.stream is 1048576"`) {
		t.Error("the log does not say why")
	}
	if fs.Asked(fusetest.Poll) > 0 {
		t.Error("a file was polled: if it did not answer, the daemon would stop")
	}
}

// TestFilesHang checks that a file system that does not answer takes only a limited number of
// threads, and that a walk waits for it only once. Other clients are served.
func TestFilesHang(t *testing.T) {
	fs := fusetest.Mount(t, fusetest.File{Name: "a", Data: []byte("x")}, fusetest.File{Name: "b", Data: []byte("x")}, fusetest.File{Name: "c", Data: []byte("x")})
	ts := newServer(t, func(c *Config) {
		c.Listeners[0].Profile.AnswerWithin = 600 * time.Millisecond
		c.Limits.FileThreads = 8
	}, eicarOnly())
	a := openFile(t, fs.Path("a"), unix.O_RDONLY)
	defer fs.Abort() // before a is closed
	fs.Hang(fusetest.Read)
	const words = "Exceeded time limit ERROR"
	for _, verb := range []string{"CONTSCAN", "ALLMATCHSCAN"} {
		got := ts.ask("n" + verb + " " + fs.Dir + "\n")
		if lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n"); len(lines) != 2 || !strings.HasSuffix(lines[0], "/a: "+words) || lines[1] != fs.Dir+": "+words {
			t.Errorf("%s: got %q", verb, got)
		}
	}
	if got := ts.ask("nSCAN " + fs.Dir + "\n"); !strings.HasSuffix(got, fs.Dir+": "+words+"\n") || strings.Contains(got, "OK") {
		t.Errorf("SCAN: got %q", got)
	}
	for range 8 {
		if got := ts.fildes(a); got != words+"\x00" {
			t.Errorf("FILDES: got %q", got)
		}
	}
	testkit.Eventually(t, "six threads are written off", func() bool {
		st := ts.files.Stats()
		return st.WrittenOff == 6 && st.Busy == 6
	})
	if !strings.Contains(ts.log.String(), "has its share of limits.file_threads, 6 of 8, in use, 6 of them for file systems that do not answer") {
		t.Error("the log does not say why")
	}
	if got := ts.ask("zINSTREAM\x00" + stream("x", 10)); got != "stream: OK\x00" {
		t.Errorf("INSTREAM: got %q", got)
	}
	fs.Abort()
	testkit.Eventually(t, "all threads return", func() bool { return ts.files.Stats() == files.Stats{Limit: 8} })
}

// TestStrayForeignDescriptors sends descriptors that no command uses and whose close hangs.
// The client is answered anyway.
func TestStrayForeignDescriptors(t *testing.T) {
	fs := fusetest.Mount(t, fusetest.File{Name: "a", Data: []byte("x")})
	ts := newServer(t, nil, eicarOnly())
	a := openFile(t, fs.Path("a"), unix.O_RDONLY)
	defer fs.Abort() // before a is closed
	fs.Hang(fusetest.Flush)
	for _, send := range []string{"zPING\x00", "zFILDES\x00x"} {
		if got := ts.askWith(send, a); got == "" {
			t.Errorf("%q: no answer", send)
		}
	}
	testkit.Eventually(t, "two threads close the descriptors", func() bool { return ts.files.Stats().Busy == 2 })
}

// TestHashLeftOut checks that a file larger than limits.stream is not hashed for the log, and
// that its log line says so.
func TestHashLeftOut(t *testing.T) {
	dir := t.TempDir()
	huge, small := filepath.Join(dir, "huge"), filepath.Join(dir, "small")
	os.WriteFile(small, make([]byte, 300<<10), 0o600)
	os.WriteFile(huge, nil, 0o600)
	if err := os.Truncate(huge, 4<<40); err != nil {
		t.Skip(err)
	}
	ts := newServer(t, nil, eicarOnly())
	for _, path := range []string{huge, small} {
		if got := ts.fildes(openFile(t, path, unix.O_RDONLY)); got != "OK\x00" {
			t.Errorf("got %q", got)
		}
	}
	testkit.Eventually(t, "both log lines", func() bool { return strings.Count(ts.log.String(), `"scanned"`) == 2 })
	log := ts.log.String()
	if !strings.Contains(log, fmt.Sprintf(`"size":%d,"sha256_left_out":"larger than limits.stream"`, int64(4)<<40)) || strings.Count(log, `"sha256":`) != 1 {
		t.Errorf("log %s", log)
	}
}

// TestHashLimits checks the limits on objects waiting to be hashed: one client leaves room
// for others.
func TestHashLimits(t *testing.T) {
	h := newHashing()
	one, other := client.User(1), client.User(2)
	n := 0
	for h.begin(one) {
		n++
	}
	m := 0
	for h.begin(other) {
		m++
	}
	if n != clientHashing || m != maxHashing-clientHashing {
		t.Errorf("%d and %d objects, want %d and %d", n, m, clientHashing, maxHashing-clientHashing)
	}
	for range n {
		h.end(one)
	}
	for range m {
		h.end(other)
	}
	if h.objects != 0 || len(h.clients) != 0 {
		t.Errorf("%d objects, %d clients are left", h.objects, len(h.clients))
	}
}

// TestLargeDirectory scans a directory that is read in several batches.
func TestLargeDirectory(t *testing.T) {
	eicar := string(testfile.EICAR())
	dir := tree(t, "0", "x", "sub/1", eicar, "sub/2/3", eicar, "zz", eicar)
	for i := range 1500 {
		if err := os.Link(filepath.Join(dir, "0"), filepath.Join(dir, fmt.Sprintf("%04d", i)+strings.Repeat("n", 240))); err != nil {
			t.Fatal(err)
		}
	}
	ts := newServer(t, nil, eicarOnly())
	for _, verb := range []string{"CONTSCAN", "MULTISCAN"} {
		got := ts.ask("n" + verb + " " + dir + "\n")
		for _, name := range []string{"zz", "sub/1", "sub/2/3"} {
			if strings.Count(got, dir+"/"+name+": Eicar-Test-Signature FOUND\n") != 1 {
				t.Errorf("%s does not find %s exactly once: %q", verb, name, got)
			}
		}
	}
	testkit.Eventually(t, "a log line for each file", func() bool { return countLines(ts.log.String(), "scanned") == 2*1504 })
	testkit.Eventually(t, "all directories are closed", func() bool { return ts.files.Stats().Busy == 0 })
}

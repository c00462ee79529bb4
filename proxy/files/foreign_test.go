package files

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"polyclam/proxy/client"
	"polyclam/test/fusetest"
	"polyclam/test/testkit"
)

// soon is a context for an operation that hangs.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(as(1), 50*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func TestForeign(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789"), 50_000)
	fs := fusetest.Mount(t, fusetest.File{Name: "f", Data: want}, fusetest.File{Name: "empty"})
	p := NewPool(8)
	for _, name := range []string{"f", "empty"} {
		o, err := p.Open(as(1), nil, fs.Path(name))
		if err != nil {
			t.Fatal(err)
		}
		if !o.File.Foreign() || o.File.File() != nil {
			t.Error("a file on FUSE is not foreign")
		}
		var got bytes.Buffer
		if err := o.File.Copy(as(1), &got); err != nil {
			t.Error(err)
		}
		if name == "f" && !bytes.Equal(got.Bytes(), want) || name == "empty" && got.Len() > 0 {
			t.Errorf("%s: copied %d bytes", name, got.Len())
		}
		o.File.Close()
	}
	testkit.Eventually(t, "the files are closed", func() bool { return fs.Asked(fusetest.Flush) == 2 && p.Stats().Busy == 0 })
}

// TestForeignWrongSize checks that a file with more or fewer bytes than its size is refused:
// other readers could see bytes that no engine has scanned.
func TestForeignWrongSize(t *testing.T) {
	fs := fusetest.Mount(t,
		fusetest.File{Name: "more", Data: make([]byte, 100), Size: 10, Direct: true},
		fusetest.File{Name: "less", Data: make([]byte, 100), Size: 200_000, Direct: true},
		fusetest.File{Name: "none", Data: make([]byte, 100), Size: -1, Direct: true})
	p := NewPool(8)
	for name, want := range map[string]error{"more": ErrNotRegular, "less": io.ErrUnexpectedEOF, "none": ErrNotRegular} {
		o, err := p.Open(as(1), nil, fs.Path(name))
		if err == nil {
			err = o.File.Copy(as(1), io.Discard)
			o.File.Close()
		}
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
}

// TestForeignHangs lets each kind of request hang. The caller goes on in time, the number of
// threads is limited, and when the file system answers, all threads and descriptors return.
func TestForeignHangs(t *testing.T) {
	for _, tt := range []struct {
		name    string
		request uint32
		flags   int // of a descriptor to adopt; -1: open the path
	}{
		{"lookup", fusetest.Lookup, -1},
		{"getattr", fusetest.Getattr, -1},
		{"open", fusetest.Open, -1},
		{"read", fusetest.Read, -1},
		{"statfs", fusetest.Statfs, -1},
		{"descriptor, getattr", fusetest.Getattr, unix.O_RDONLY},
		{"descriptor, statfs", fusetest.Statfs, unix.O_RDWR},
		{"descriptor, read", fusetest.Read, unix.O_RDONLY},
		{"descriptor, poll", fusetest.Poll, unix.O_RDONLY | unix.O_NONBLOCK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fs := fusetest.Mount(t, fusetest.File{Name: "f", Data: []byte("x")})
			before := descriptors(t)
			p := NewPool(8)
			var fds []int
			if tt.flags >= 0 {
				for range 7 {
					fds = append(fds, open(t, fs.Path("f"), tt.flags))
				}
			}
			fs.Hang(tt.request)
			for i := range 7 { // the share is 6
				var f *File
				var err error
				if tt.flags >= 0 {
					f, err = p.Adopt(soon(t), fds[i])
				} else {
					var o Object
					o, err = p.Open(soon(t), nil, fs.Path("f"))
					f = o.File
				}
				if err == nil {
					err = f.Copy(soon(t), io.Discard)
					f.Close()
				}
				if tt.request == fusetest.Poll {
					if err != nil {
						t.Errorf("poll hangs, which must not matter: %v", err)
					}
				} else if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
			}
			if st := p.Stats(); st.WrittenOff > 6 || st.Busy > 6 {
				t.Errorf("%+v", st)
			}
			if fs.Asked(fusetest.Poll) > 0 {
				t.Error("the file was polled")
			}
			fs.Abort()
			testkit.Eventually(t, "all threads return", func() bool { return p.Stats() == Stats{Limit: 8} })
			testkit.Eventually(t, "all descriptors are closed", func() bool { return descriptors(t) <= before })
		})
	}
}

// TestForeignCloseHangs checks that Discard does not wait for a close that hangs, and that
// descriptors waiting to be closed are counted.
func TestForeignCloseHangs(t *testing.T) {
	fs := fusetest.Mount(t, fusetest.File{Name: "f", Data: []byte("x")})
	p := NewPool(4)
	fs.Hang(fusetest.Flush)
	for range 3 {
		p.Discard(client.User(1), open(t, fs.Path("f"), unix.O_RDONLY))
	}
	late := open(t, fs.Path("f"), unix.O_RDONLY)
	p.Discard(client.User(1), late)
	testkit.Eventually(t, "three closes hang", func() bool { return fs.Asked(fusetest.Flush) == 3 })
	if st := p.Stats(); st.Busy != 3 || st.Closing != 1 {
		t.Errorf("%+v", st)
	}
	fs.Abort()
	waitClosed(t, late)
}

// TestForeignDirectory reads a directory that works, then fails, then hangs.
func TestForeignDirectory(t *testing.T) {
	var many []fusetest.File
	for i := range 400 {
		many = append(many, fusetest.File{Name: strings.Repeat(string(rune('a'+i%26)), 200) + string(rune('a'+i/26)), Data: []byte("x")})
	}
	fs := fusetest.Mount(t, many...)
	p := NewPool(8)
	o, err := p.Open(as(1), nil, fs.Dir)
	if err != nil {
		t.Fatal(err)
	}
	m := NewMemory().Walk()
	b, err := o.Dir.read(as(1), everything, m)
	if len(b.entries) != 400 || !b.last || err != nil {
		t.Errorf("%d entries, last %v, %v", len(b.entries), b.last, err)
	}
	b.free()
	fs.Fail(fusetest.Readdir, unix.EIO)
	if err := o.Dir.rewind(as(1)); err != nil {
		t.Fatal(err)
	}
	b, err = o.Dir.read(as(1), everything, m)
	if !errors.Is(err, unix.EIO) || !b.last {
		t.Errorf("%d entries, last %v, %v", len(b.entries), b.last, err)
	}
	b.free()
	fs.Hang(fusetest.Readdir)
	b, err = o.Dir.read(soon(t), everything, m)
	if len(b.entries) > 0 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%d entries, %v", len(b.entries), err)
	}
	b.free()
	o.Dir.Close()
	fs.Abort()
	testkit.Eventually(t, "all threads return", func() bool { return p.Stats() == Stats{Limit: 8} })
	wantAllMemory(t, m)
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// leased returns a descriptor of a file on which another process has a write lease. The other
// process gives the lease up when giveUp is called.
func leased(t *testing.T, path string) (fd int, giveUp func()) {
	t.Helper()
	if os.Getenv("POLYCLAM_LEASE") != "" {
		holdLease()
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "theirs")
	ours := os.NewFile(uintptr(pair[0]), "ours")
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "POLYCLAM_LEASE="+path)
	cmd.ExtraFiles = []*os.File{theirs}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	conn, err := net.FileConn(ours)
	ours.Close()
	if err != nil {
		t.Fatal(err)
	}
	giveUp = sync.OnceFunc(func() { conn.Close(); cmd.Wait() })
	t.Cleanup(giveUp)
	oob := make([]byte, 64)
	n, oobn, _, _, err := conn.(*net.UnixConn).ReadMsgUnix(make([]byte, 1), oob)
	if n == 0 || err != nil || oobn == 0 {
		t.Skipf("no lease here: %v", err)
	}
	messages, _ := unix.ParseSocketControlMessage(oob[:oobn])
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		t.Fatal(err)
	}
	return fds[0], giveUp
}

// holdLease is the other process. It holds the lease until its socket is closed.
func holdLease() {
	fd, err := unix.Open(os.Getenv("POLYCLAM_LEASE"), unix.O_RDWR, 0)
	if err != nil {
		os.Exit(1)
	}
	unix.FcntlInt(uintptr(fd), unix.F_SETSIG, int(unix.SIGCHLD)) // ignored by default
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		os.Exit(1)
	}
	if err := unix.Sendmsg(3, []byte{0}, unix.UnixRights(fd), nil, 0); err != nil {
		os.Exit(1)
	}
	unix.Read(3, make([]byte, 1))
	os.Exit(0)
}

// TestAdoptLeased checks that a descriptor with a lease is used as it is, and that no thread
// waits.
func TestAdoptLeased(t *testing.T) {
	fd, _ := leased(t, write(t, []byte("hello")))
	p := NewPool(4)
	f, err := p.Adopt(as(1), fd)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := make([]byte, 5)
	if _, err := f.ReadAt(as(1), got, 0); err != nil || string(got) != "hello" {
		t.Errorf("read %q, %v", got, err)
	}
	if st := p.Stats(); st.Busy != 0 {
		t.Errorf("%+v", st)
	}
}

// TestOpenLeased checks that a path with a lease is opened once the other process gives the
// lease up, and that no thread waits meanwhile.
func TestOpenLeased(t *testing.T) {
	path := write(t, []byte("hello"))
	fd, giveUp := leased(t, path)
	unix.Close(fd)
	p := NewPool(4)
	ctx, cancel := context.WithTimeout(as(1), time.Second)
	defer cancel()
	if o, err := p.Open(ctx, nil, path); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "lease") {
		t.Errorf("got %+v, %v", o, err)
	}
	testkit.Eventually(t, "no thread waits", func() bool { return p.Stats().Busy == 0 })
	go giveUp()
	o, err := p.Open(as(1), nil, path)
	if err != nil {
		t.Fatal(err)
	}
	o.close()
}

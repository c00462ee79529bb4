package spool

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newKeeping returns a spool that keeps memfds. Objects of up to 64 KiB begin in memory.
func newKeeping(t *testing.T, total int64) *Spool {
	t.Helper()
	if _, err := ownDescriptors(); err != nil { // opened once for the process
		t.Fatal(err)
	}
	s, err := New(Config{Memory: 64 << 10, Total: total, Keep: DefaultKeep})
	if err != nil {
		t.Fatal(err)
	}
	if !s.set.keeps {
		t.Fatal("memfds are not kept on this system")
	}
	before := openFDs(t)
	t.Cleanup(func() {
		s.Close()
		if st := s.Stats(); st.Used != 0 || st.Kept != 0 || st.Objects != 0 || st.Writers != 0 {
			t.Errorf("left after Close: %+v", st)
		}
		if after := openFDs(t); len(after) > len(before) {
			t.Errorf("descriptors before: %q, after: %q", before, after)
		}
	})
	return s
}

// pattern returns n bytes that no other object has.
func pattern(id, n int) []byte {
	return bytes.Repeat([]byte(fmt.Sprintf("%07d.", id)), n/8+1)[:n]
}

// scanned makes an object, has an engine look at its file, and releases it.
func scanned(t *testing.T, s *Spool, b []byte, engine func(f *os.File)) {
	t.Helper()
	o := spooled(t, s, b)
	defer o.Release()
	f, err := o.File()
	if err != nil {
		t.Fatal(err)
	}
	engine(f)
}

// A holder is an engine that keeps what it got of one object, and can read it later.
type holder struct {
	name string
	want []byte
	read func() ([]byte, error)
	end  func()
}

func readAll(fd, n int) ([]byte, error) {
	b := make([]byte, n+100)
	n, err := unix.Pread(fd, b, 0)
	return b[:max(0, n)], err
}

func holdDup(t *testing.T, f *os.File, want []byte) holder {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return holder{"a descriptor", want, func() ([]byte, error) { return readAll(fd, len(want)) }, func() { unix.Close(fd) }}
}

// holdMap keeps a mapping, and no descriptor.
func holdMap(t *testing.T, f *os.File, want []byte) holder {
	m, err := unix.Mmap(int(f.Fd()), 0, len(want), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	read := func() (b []byte, err error) {
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
		defer func() {
			if recover() != nil {
				err = errors.New("the file has shrunk")
			}
		}()
		return bytes.Clone(m), nil
	}
	return holder{"a mapping", want, read, func() { unix.Munmap(m) }}
}

// holdSent leaves the descriptor in a socket, as for an engine that has not received it yet.
func holdSent(t *testing.T, f *os.File, want []byte) holder {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Sendmsg(pair[0], []byte("x"), unix.UnixRights(int(f.Fd())), nil, 0); err != nil {
		t.Fatal(err)
	}
	read := func() ([]byte, error) {
		oob := make([]byte, 64)
		_, n, _, _, err := unix.Recvmsg(pair[1], make([]byte, 1), oob, 0)
		if err != nil {
			return nil, err
		}
		list, err := unix.ParseSocketControlMessage(oob[:n])
		if err != nil {
			return nil, err
		}
		fds, err := unix.ParseUnixRights(&list[0])
		if err != nil {
			return nil, err
		}
		defer unix.Close(fds[0])
		return readAll(fds[0], len(want))
	}
	return holder{"a descriptor in a socket", want, read, func() { unix.Close(pair[0]); unix.Close(pair[1]) }}
}

// holdChild keeps the descriptor in another process.
func holdChild(t *testing.T, f *os.File, want []byte) holder {
	cmd := child(t, "keep", fmt.Sprint(len(want)))
	cmd.ExtraFiles = []*os.File{f}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := func() ([]byte, error) {
		if _, err := in.Write([]byte("\n")); err != nil {
			return nil, err
		}
		b := make([]byte, len(want))
		_, err := io.ReadFull(out, b)
		return b, err
	}
	return holder{"a process", want, read, func() { in.Close(); cmd.Wait() }}
}

// childKeep writes the file of descriptor 3 for each line that it reads.
func childKeep(size string) error {
	n := 0
	if _, err := fmt.Sscan(size, &n); err != nil {
		return err
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		b, err := readAll(3, n)
		if err != nil {
			return err
		}
		if _, err := os.Stdout.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// TestKeptNeverForeign has engines that keep the descriptors of some objects while others
// pass: they never see a byte of another object. The rest of the memory is used again.
func TestKeptNeverForeign(t *testing.T) {
	s := newKeeping(t, 0)
	var holders []holder
	defer func() {
		for _, h := range holders {
			h.end()
		}
	}()
	sizes := []int{100, 5 << 10, 70 << 10, 1 << 20, 64 << 10}
	ways := []func(*testing.T, *os.File, []byte) holder{holdDup, holdMap, holdSent}
	for id := range 400 {
		size := sizes[id%len(sizes)] + rand.IntN(50)
		way := ways[id/20%len(ways)]
		if id%100 == 7 {
			way = holdChild
		}
		want := pattern(id, size)
		scanned(t, s, want, func(f *os.File) {
			if id%20 == 7 || id%20 == 13 {
				holders = append(holders, way(t, f, want))
			}
		})
	}
	for _, h := range holders {
		got, err := h.read()
		if err != nil || !bytes.Equal(got, h.want) {
			t.Errorf("%s of %d bytes of %.7s: got %d bytes of %.7s, error %v", h.name, len(h.want), h.want, len(got), got, err)
		}
	}
	if st := s.Stats(); st.Reused < 200 {
		t.Errorf("only %d of 400 objects got memory that was used before", st.Reused)
	}
}

// TestKeptGivenUp checks that memory whose descriptor stays open is freed in the end.
func TestKeptGivenUp(t *testing.T) {
	s := newKeeping(t, 0)
	want := pattern(1, 1<<20)
	var h holder
	scanned(t, s, want, func(f *os.File) { h = holdDup(t, f, want) })
	defer h.end()
	scanned(t, s, pattern(2, 1<<20), func(*os.File) {})
	if st := s.Stats(); st.Reused != 0 || st.Held != 0 || st.Kept != 2<<20 {
		t.Errorf("soon after the answer: %+v", st)
	}
	for _, m := range s.keeper.free {
		m.released = m.released.Add(-heldFor)
	}
	a, b := spooled(t, s, pattern(3, 1<<20)), spooled(t, s, pattern(4, 1<<20))
	a.Release()
	b.Release()
	if st := s.Stats(); st.Reused != 1 || st.Held != 1 || st.Kept != 2<<20 {
		t.Errorf("long after the answer: %+v", st)
	}
}

// TestKeptTainted checks that memory of an object with which an engine failed is not used
// again, whatever its descriptors say, unless the engine never got one.
func TestKeptTainted(t *testing.T) {
	for _, size := range []int{1 << 10, 1 << 20} {
		s := newKeeping(t, 0)
		o := spooled(t, s, pattern(1, size))
		if _, err := o.File(); err != nil {
			t.Fatal(err)
		}
		o.Taint()
		o.Release()
		if st := s.Stats(); st.Tainted != 1 || st.Kept != 0 {
			t.Errorf("%d bytes: %+v", size, st)
		}
	}
	s := newKeeping(t, 0)
	o := spooled(t, s, pattern(1, 1<<20))
	o.Taint()
	o.Release()
	if st := s.Stats(); st.Tainted != 0 || st.Kept != 1<<20 {
		t.Errorf("tainted without a descriptor: %+v", st)
	}
}

// TestKeptLength checks that an object in memory that was longer has exactly its own bytes.
func TestKeptLength(t *testing.T) {
	s := newKeeping(t, 0)
	for i, size := range []int{1 << 20, 900<<10 + 1, 70 << 10, 1<<20 + 5, 64 << 10, 40 << 10, 39<<10 + 17, 64 << 10, 1} {
		want := pattern(i, size)
		scanned(t, s, want, func(f *os.File) {
			checkBytes(t, f, want)
			if info, err := f.Stat(); err != nil || info.Size() != int64(size) {
				t.Errorf("the file of %d bytes has %d, error %v", size, info.Size(), err)
			}
		})
	}
	if st := s.Stats(); st.Reused < 4 {
		t.Errorf("only %d objects got memory that was used before", st.Reused)
	}
}

// TestKeptBounds checks that what is kept stays within its bounds, is given to uploads that
// need the room, and does not stay for ever.
func TestKeptBounds(t *testing.T) {
	const total = 16 << 20
	s := newKeeping(t, total)
	check := func(when string) {
		t.Helper()
		if st := s.Stats(); st.Kept > total/keptPart || st.Used+st.Kept > total {
			t.Errorf("%s: %+v", when, st)
		}
	}
	hold := func(n, size int) {
		var all []*Object
		for i := range n {
			o := spooled(t, s, pattern(i, size))
			if _, err := o.File(); err != nil {
				t.Fatal(err)
			}
			all = append(all, o)
		}
		for _, o := range all {
			o.Release()
			check("released")
		}
	}
	hold(100, 1<<10)
	if n := len(s.keeper.free); n != MaxKept {
		t.Errorf("%d are kept, want %d", n, MaxKept)
	}
	hold(8, 1<<20)
	if st := s.Stats(); st.Kept < 1<<20 {
		t.Errorf("the new size is not kept: %+v", st)
	}
	hold(1, 2<<20)
	o := spooled(t, s, pattern(1, 15<<20)) // needs some of the kept bytes
	check("large upload")
	if st := s.Stats(); st.Kept > 1<<20 {
		t.Errorf("kept although an upload needs the room: %+v", st)
	}
	o.Release()
	hold(2, 1<<20)
	s.keeper.expireBefore(time.Now().Add(-time.Hour))
	if st := s.Stats(); st.Kept == 0 {
		t.Error("expired too early")
	}
	s.keeper.expireBefore(time.Now())
	if st := s.Stats(); st.Kept != 0 {
		t.Errorf("not expired: %+v", st)
	}
	hold(2, 1<<20)
	if err := s.Configure(Config{Memory: 64 << 10}); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.Kept != 0 {
		t.Errorf("kept although switched off: %+v", st)
	}
}

// TestKeptAborted ends uploads at every stage.
func TestKeptAborted(t *testing.T) {
	s := newKeeping(t, 64<<20)
	for i := range 60 {
		w := s.Create(t.Context())
		for range i % 4 {
			if _, err := w.Write(pattern(i, 300<<10)); err != nil {
				t.Fatal(err)
			}
		}
		w.Abort()
		want := pattern(1000+i, 100<<10*(i%5))
		scanned(t, s, want, func(f *os.File) { checkBytes(t, f, want) })
	}
}

// TestKeptOtherUsers checks that a process of another user cannot open the file of a
// descriptor again, and one without privileges not for writing.
func TestKeptOtherUsers(t *testing.T) {
	s := newKeeping(t, 0)
	scanned(t, s, pattern(1, 1<<20), func(f *os.File) {
		cmd := child(t, "again", "")
		cmd.ExtraFiles = []*os.File{f}
		want := "read: nil, write: permission denied\n"
		if os.Geteuid() == 0 {
			const nobody = 65534
			exe, err := os.Open("/proc/self/exe")
			if err != nil {
				t.Fatal(err)
			}
			defer exe.Close()
			cmd.ExtraFiles = append(cmd.ExtraFiles, exe)
			cmd.Path = "/proc/self/fd/4" // the directory of the program may be closed to nobody
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
			want = "read: permission denied, write: permission denied\n"
		}
		out, err := cmd.CombinedOutput()
		if err != nil || string(out) != want {
			t.Errorf("got %q, error %v, want %q", out, err, want)
		}
	})
}

func childAgain(string) error {
	try := func(flag int) string {
		f, err := os.OpenFile("/proc/self/fd/3", flag, 0)
		if err == nil {
			f.Close()
			return "nil"
		}
		return err.(*os.PathError).Err.Error()
	}
	fmt.Printf("read: %s, write: %s\n", try(os.O_RDONLY), try(os.O_RDWR))
	return nil
}

// TestKeptSealed takes away what a memory needs to be lent: its file is sealed instead.
func TestKeptSealed(t *testing.T) {
	s := newKeeping(t, 0)
	want := pattern(1, 1<<20)
	o := spooled(t, s, want)
	o.mem.name = []byte("none\x00")
	f, err := o.File()
	if err != nil {
		t.Fatal(err)
	}
	checkBytes(t, f, want)
	if _, err := f.WriteAt([]byte("x"), 0); err == nil {
		t.Error("the file is not sealed")
	}
	o.Release()
	if st := s.Stats(); st.Kept != 0 {
		t.Errorf("a sealed file is kept: %+v", st)
	}
}

// TestKeptConcurrently has engines that answer, fail, keep and close descriptors at any time,
// while uploads of all sizes come and go.
func TestKeptConcurrently(t *testing.T) {
	s := newKeeping(t, 24<<20)
	var mu sync.Mutex
	var late []holder
	var wg sync.WaitGroup
	const rounds = 60
	for g := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 1))
			for i := range rounds {
				concurrentScan(t, s, r, pattern(g*10000+i, 1+r.IntN(1<<(10+r.IntN(11)))), func(h holder) {
					mu.Lock()
					late = append(late, h)
					mu.Unlock()
				})
				mu.Lock()
				var h *holder
				if len(late) > 20 {
					h, late = &late[0], slices.Clone(late[1:])
				}
				mu.Unlock()
				if h != nil {
					checkHolder(t, *h)
				}
			}
		})
	}
	wg.Wait()
	for _, h := range late {
		checkHolder(t, h)
	}
	if st := s.Stats(); st.Reused == 0 || st.Tainted == 0 {
		t.Errorf("nothing happened: %+v", st)
	}
}

func checkHolder(t *testing.T, h holder) {
	defer h.end()
	if got, err := h.read(); err != nil || !bytes.Equal(got, h.want) {
		t.Errorf("%s of %.7s: got %.7s, error %v", h.name, h.want, got, err)
	}
}

func concurrentScan(t *testing.T, s *Spool, r *rand.Rand, want []byte, keep func(holder)) {
	w := s.Create(context.Background())
	defer w.Abort()
	for rest := want; len(rest) > 0; {
		n := min(len(rest), 128<<10)
		if _, err := w.Write(rest[:n]); err != nil {
			return // the quota
		}
		rest = rest[n:]
	}
	if r.IntN(20) == 0 {
		return
	}
	o, err := w.Finish()
	if err != nil {
		t.Error(err)
		return
	}
	defer o.Release()
	f, err := o.File()
	if err != nil {
		t.Error(err)
		return
	}
	checkBytes(t, f, want)
	checkBytes(t, o, want)
	switch r.IntN(8) {
	case 0:
		o.Taint()
	case 1:
		keep(holdDup(t, f, want))
	case 2:
		keep(holdMap(t, f, want))
	}
}

// BenchmarkFile compares a new, sealed memfd for each object with kept ones.
func BenchmarkFile(b *testing.B) {
	for _, size := range []int{1 << 10, 10 << 10, 100 << 10, 1 << 20, 10 << 20} {
		for _, keep := range []int64{0, DefaultKeep} {
			b.Run(fmt.Sprintf("%dk/keep=%v", size>>10, keep > 0), func(b *testing.B) {
				s, err := New(Config{Memory: 256 << 10, Keep: keep})
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				data, buf := make([]byte, size), make([]byte, 128<<10)
				b.SetBytes(int64(size))
				for b.Loop() {
					benchObject(b, s, data, buf, true)
				}
			})
		}
	}
}

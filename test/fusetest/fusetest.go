// Package fusetest mounts a file system whose server a test controls: above all, it can
// leave requests hanging without an answer.
//
// It speaks only as much of the kernel's protocol, <linux/fuse.h> 7.31, as one
// directory of regular files needs.
package fusetest

import (
	"encoding/binary"
	"errors"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The requests that a test can leave hanging.
const (
	Lookup     = 1
	Getattr    = 3
	Open       = 14
	Read       = 15
	Statfs     = 17
	Flush      = 25
	Opendir    = 27
	Readdir    = 28
	Poll       = 40
	initialise = 26
)

// A File is a file of the directory.
type File struct {
	Name string
	Data []byte
	Size int64 // as reported by stat(2); 0: that of Data, below 0: none
	// Direct passes every read to the server unchanged, even beyond the size.
	Direct bool
}

// An FS is a mounted file system.
type FS struct {
	Dir   string
	files []File
	dev   int

	mu        sync.Mutex
	hang      map[uint32]bool
	fail      map[uint32]syscall.Errno
	asked     map[uint32]int
	unmounted bool
}

// Mount mounts files for the duration of a test. It skips the test where that is not
// possible.
func Mount(t testing.TB, files ...File) *FS {
	t.Helper()
	dev, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no FUSE: %v", err)
	}
	fs := &FS{Dir: t.TempDir(), files: files, dev: dev, hang: map[uint32]bool{}, fail: map[uint32]syscall.Errno{}, asked: map[uint32]int{}}
	options := "rootmode=40000,user_id=0,group_id=0,allow_other,fd=" + strconv.Itoa(dev)
	if err := unix.Mount("polyclam", fs.Dir, "fuse.polyclam", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		unix.Close(dev)
		t.Skipf("FUSE cannot be mounted: %v", err)
	}
	stop := watch(t, fs.Dir)
	served := make(chan struct{})
	go func() {
		defer close(served)
		fs.serve()
	}()
	t.Cleanup(func() {
		fs.Abort()
		<-served
		stop()
	})
	return fs
}

// watch aborts the file system if a test that hangs in it is killed: the kernel does
// not end a process that waits for its own answer.
func watch(t testing.TB, dir string) (stop func()) {
	t.Helper()
	cmd := exec.Command("sh", "-c", `sleep 120; umount -f "$0"; umount -l "$0"`, dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
	}
}

// Path is the path of a file.
func (fs *FS) Path(name string) string { return fs.Dir + "/" + name }

// Hang leaves these requests without an answer from now on.
func (fs *FS) Hang(requests ...uint32) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, r := range requests {
		fs.hang[r] = true
	}
}

// Fail answers these requests with an error from now on.
func (fs *FS) Fail(request uint32, errno syscall.Errno) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.fail[request] = errno
}

// Asked is the number of these requests so far.
func (fs *FS) Asked(request uint32) int {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.asked[request]
}

// Abort ends the file system: all hanging requests return with an error.
func (fs *FS) Abort() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.unmounted {
		return
	}
	fs.unmounted = true
	unix.Unmount(fs.Dir, unix.MNT_FORCE) // aborts hanging requests
	unix.Unmount(fs.Dir, unix.MNT_DETACH)
}

func (fs *FS) serve() {
	defer unix.Close(fs.dev)
	buf := make([]byte, 1<<17)
	for {
		n, err := unix.Read(fs.dev, buf)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil || n < 40 {
			return // ENODEV: unmounted
		}
		fs.handle(buf[:n])
	}
}

var order = binary.NativeEndian

func (fs *FS) handle(b []byte) {
	op, unique, node := order.Uint32(b[4:]), order.Uint64(b[8:]), order.Uint64(b[16:])
	fs.mu.Lock()
	fs.asked[op]++
	hang, errno := fs.hang[op], fs.fail[op]
	fs.mu.Unlock()
	switch {
	case hang, op == 2, op == 42, op == 36: // FORGET, BATCH_FORGET and INTERRUPT have no answer
		return
	case errno != 0:
		fs.reply(unique, errno, nil)
		return
	}
	out, errno := fs.answer(op, node, b[40:])
	fs.reply(unique, errno, out)
}

func (fs *FS) reply(unique uint64, errno syscall.Errno, out []byte) {
	b := order.AppendUint32(nil, uint32(16+len(out)))
	b = order.AppendUint32(b, uint32(-int32(errno)))
	b = order.AppendUint64(b, unique)
	unix.Write(fs.dev, append(b, out...))
}

func (fs *FS) answer(op uint32, node uint64, in []byte) ([]byte, syscall.Errno) {
	switch op {
	case initialise:
		out := make([]byte, 64)
		order.PutUint32(out, 7)
		order.PutUint32(out[4:], 31)
		order.PutUint32(out[8:], order.Uint32(in[8:]))
		order.PutUint32(out[20:], 1<<16) // max_write
		return out, 0
	case Lookup:
		for i, f := range fs.files {
			if f.Name == string(in[:len(in)-1]) {
				out := words(uint64(i+2), 0, 0, 0, 0)
				return append(out, fs.attr(uint64(i+2))...), 0
			}
		}
		return nil, unix.ENOENT
	case Getattr:
		return append(words(0, 0), fs.attr(node)...), 0
	case Open:
		var flags uint64
		if fs.files[node-2].Direct {
			flags = 1
		}
		return words(node, flags), 0
	case Opendir:
		return words(node, 0), 0
	case Read:
		return part(fs.files[node-2].Data, in), 0
	case Readdir:
		return fs.entries(order.Uint64(in[8:]), int(order.Uint32(in[16:]))), 0
	case Statfs:
		return make([]byte, 80), 0
	case Poll:
		return words(1), 0 // POLLIN
	case Flush, 18, 29, 34, 38: // RELEASE, RELEASEDIR, ACCESS, DESTROY
		return nil, 0
	}
	return nil, unix.ENOSYS
}

// attr is a struct fuse_attr.
func (fs *FS) attr(node uint64) []byte {
	mode, size := uint32(unix.S_IFDIR|0o755), int64(0)
	if node > 1 {
		f := fs.files[node-2]
		mode, size = unix.S_IFREG|0o644, f.Size
		switch {
		case size == 0:
			size = int64(len(f.Data))
		case size < 0:
			size = 0
		}
	}
	out := words(node, uint64(size), 0, 0, 0, 0)
	for _, v := range []uint32{0, 0, 0, mode, 1, 0, 0, 0, 4096, 0} {
		out = order.AppendUint32(out, v)
	}
	return out
}

// entries are the directory entries from index off, as many as fit.
func (fs *FS) entries(off uint64, size int) []byte {
	var out []byte
	for i := int(off); i < len(fs.files); i++ {
		name := fs.files[i].Name
		e := words(uint64(i+2), uint64(i+1))
		e = order.AppendUint32(e, uint32(len(name)))
		e = order.AppendUint32(e, unix.DT_REG)
		e = append(e, name...)
		for len(e)%8 > 0 {
			e = append(e, 0)
		}
		if len(out)+len(e) > size {
			break
		}
		out = append(out, e...)
	}
	return out
}

// part is the range that a READ or READDIR requests.
func part(data, in []byte) []byte {
	off, size := order.Uint64(in[8:]), uint64(order.Uint32(in[16:]))
	if off >= uint64(len(data)) {
		return nil
	}
	return data[off:min(off+size, uint64(len(data)))]
}

func words(v ...uint64) []byte {
	var out []byte
	for _, w := range v {
		out = order.AppendUint64(out, w)
	}
	return out
}

package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// seals make a memfd immutable, even for its owner.
const seals = unix.F_SEAL_WRITE | unix.F_SEAL_GROW | unix.F_SEAL_SHRINK | unix.F_SEAL_SEAL

// StoreThreads limits concurrent writes to the store. Each may block a thread for as long as
// the disk takes, so a disk that hangs blocks no more threads than these.
const StoreThreads = 32

// acquireStore waits until another write to the store may begin, until deadline or until ctx
// ends.
func (s *Spool) acquireStore(ctx context.Context, deadline time.Time) error {
	select {
	case s.stores <- struct{}{}:
		return nil
	default:
	}
	if deadline.IsZero() {
		deadline = time.Now().Add(shortestWait)
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case s.stores <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("spool: %w", context.Cause(ctx))
	case <-timer.C:
		return storageError("write", fmt.Errorf("%d writes are under way and none has ended", StoreThreads))
	}
}

// shortestWait is how long a write waits for other writes even if Config.Wait is 0.
const shortestWait = time.Second

// releaseStore ends a write that acquireStore allowed.
func (s *Spool) releaseStore() { <-s.stores }

// memfdFlags returns the flags for memfd_create that the kernel supports.
func memfdFlags() (int, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	// Since Linux 6.3; vm.memfd_noexec=2 requires it.
	f, err := memfd(flags | unix.MFD_NOEXEC_SEAL)
	if err == nil {
		f.Close()
		return flags | unix.MFD_NOEXEC_SEAL, nil
	}
	if f, err = memfd(flags); err != nil {
		return 0, fmt.Errorf("store %q: %w; want store %q where the system has no memfd", Memfd, err, Tmpfile)
	}
	f.Close()
	return flags, nil
}

func memfd(flags int) (*os.File, error) {
	fd, err := unix.MemfdCreate("polyclam", flags)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), "memfd:polyclam"), nil
}

// anonymous returns a new file without a name. It disappears with its last descriptor, even if
// the process is killed.
func (t *settings) anonymous() (*os.File, error) {
	if t.Store == Memfd {
		return memfd(t.memfdFlags)
	}
	if t.dir == nil {
		return nil, errors.New("the spool is closed")
	}
	return t.dir.anonymous()
}

// seal returns a descriptor of f that cannot be used to change it. It takes ownership of f,
// even if it fails.
func (t *settings) seal(f *os.File) (*os.File, error) {
	if t.Store == Memfd {
		if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals); err != nil {
			f.Close()
			return nil, os.NewSyscallError("fcntl", err)
		}
		return f, nil
	}
	defer f.Close()
	return reopen(f)
}

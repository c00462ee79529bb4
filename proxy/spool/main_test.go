package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"polyclam/test/testkit"
)

// hang is how long a test waits for what must happen: long enough for a busy machine.
const hang = 60 * time.Second

// children are the functions for which the test binary is run again as a child.
var children = map[string]func(dir string) error{
	"hold":  childHold,
	"limit": childLimit,
	"full":  childFull,

	"readonly":    childReadOnly,
	"descriptors": childDescriptors,

	"keep":  childKeep,
	"again": childAgain,
}

func TestMain(m *testing.M) {
	if name := os.Getenv("POLYCLAM_SPOOL_CHILD"); name != "" {
		if err := children[name](os.Getenv("POLYCLAM_SPOOL_DIR")); err != nil {
			fmt.Println("child:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child returns a command that runs this binary as a child.
func child(t *testing.T, name, dir string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Env = append(os.Environ(), "POLYCLAM_SPOOL_CHILD="+name, "POLYCLAM_SPOOL_DIR="+dir)
	return cmd
}

// newSpool returns a spool in a new directory. When the test ends, nothing may be left: no
// quota, object, file or descriptor.
func newSpool(t *testing.T, cfg Config) *Spool {
	t.Helper()
	before := openFDs(t)
	if cfg.Dir == "" {
		cfg.Dir = filepath.Join(t.TempDir(), "spool")
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// A goroutine that still hashes frees its object when it ends.
		testkit.Eventually(t, "everything is freed", func() bool { return isEmpty(s) })
		if left := tree(t, cfg.Dir); len(left) > 1 {
			t.Errorf("files left: %q", left)
		}
		s.Close()
		if left := tree(t, cfg.Dir); len(left) > 0 {
			t.Errorf("left after Close: %q", left)
		}
		if after := openFDs(t); len(after) > len(before) {
			t.Errorf("descriptors before: %q, after: %q", before, after)
		}
	})
	return s
}

func checkEmpty(t *testing.T, s *Spool) {
	t.Helper()
	if !isEmpty(s) {
		t.Errorf("not everything was freed: %+v", s.Stats())
	}
}

func isEmpty(s *Spool) bool {
	got := s.Stats()
	got.Total, got.Pooled = 0, 0
	return got == Stats{}
}

// openFDs lists the open descriptors, except those that the runtime opens and closes as it
// needs them.
func openFDs(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var fds []string
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err != nil || strings.HasPrefix(target, "anon_inode:") || strings.HasPrefix(target, "pipe:") {
			continue
		}
		fds = append(fds, e.Name()+" "+target)
	}
	return fds
}

// tree lists everything below dir.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if path != dir {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// random returns n pseudo-random bytes, the same at every call.
func random(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

// spooled returns an object with the bytes b.
func spooled(t *testing.T, s *Spool, b []byte) *Object {
	t.Helper()
	w := s.Create(t.Context())
	if n, err := w.Write(b); n != len(b) || err != nil {
		t.Fatalf("Write: %d, %v", n, err)
	}
	o, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// checkBytes checks that r has exactly the bytes want.
func checkBytes(t *testing.T, r io.ReaderAt, want []byte) {
	t.Helper()
	got, err := io.ReadAll(io.NewSectionReader(r, 0, int64(len(want))+100))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, error %v, equal: %v; want %d bytes", len(got), err, bytes.Equal(got, want), len(want))
	}
}

func checkIs(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

var stores = []Store{Memfd, Tmpfile}

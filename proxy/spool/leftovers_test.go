package spool

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// childHold makes an object of every kind, prints their paths, and waits to be killed.
func childHold(dir string) error {
	s, err := New(Config{Dir: dir, Memory: 4 << 10, Store: Tmpfile})
	if err != nil {
		return err
	}
	for _, size := range []int{1000, 100 << 10} {
		o := s.Bytes(random(size))
		if _, err := o.File(); err != nil {
			return err
		}
		path, err := o.Path()
		if err != nil {
			return err
		}
		fmt.Println(path)
	}
	// A copy under way.
	_, err = s.set.dir.put(func(f *os.File) error {
		f.Write(random(1000))
		fmt.Println("ready")
		io.Copy(io.Discard, os.Stdin)
		return nil
	})
	return err
}

// hold runs childHold. It returns the paths and a function that kills the child.
func hold(t *testing.T, dir string) (paths []string, kill func()) {
	t.Helper()
	cmd := child(t, "hold", dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && lines.Text() != "ready" {
		paths = append(paths, lines.Text())
	}
	kill = func() {
		cmd.Process.Kill()
		cmd.Wait()
		stdin.Close()
	}
	t.Cleanup(kill)
	if len(paths) != 2 || !filepath.IsAbs(paths[0]) {
		t.Fatalf("the child printed %q", paths)
	}
	return paths, kill
}

// TestKill kills a daemon with SIGKILL while another one uses the same directory: the next
// start removes the files of the dead one, and no others.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	dead, kill := hold(t, dir)
	live, killLive := hold(t, dir)
	kill()
	exists := func(path string) bool { _, err := os.Stat(path); return err == nil }
	if !exists(dead[0]) || !exists(dead[1]) {
		t.Fatal("nothing was left to remove, so there is nothing to test")
	}
	if left := tree(t, filepath.Dir(dead[0])); len(left) != 2 {
		t.Errorf("the unfinished copy has a name: %q", left)
	}
	foreign := filepath.Join(dir, "polyclam-spool-file")
	if err := os.WriteFile(foreign, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, subPrefix+"other")
	if err := os.Mkdir(other, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(other, "notes"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if exists(filepath.Dir(dead[0])) {
		t.Error("the dead daemon's directory is still there")
	}
	for _, path := range append(live, foreign, filepath.Join(other, "notes")) {
		if !exists(path) {
			t.Errorf("%s was removed", path)
		}
	}
	killLive()
	next, err := New(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if exists(filepath.Dir(live[0])) || !exists(s.set.dir.sub.Name()) {
		t.Error("the second start removed too little or too much")
	}
}

// TestStartTogether starts many spools concurrently: each looks for leftovers while others
// create their subdirectories.
func TestStartTogether(t *testing.T) {
	dir := t.TempDir()
	done := make(chan error)
	const spools = 20
	for range spools {
		go func() { done <- startAndUse(dir) }()
	}
	for range spools {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(hang):
			t.Fatal("hangs")
		}
	}
	if left := tree(t, dir); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

func startAndUse(dir string) error {
	for range 10 {
		s, err := New(Config{Dir: dir})
		if err != nil {
			return err
		}
		o := s.Bytes([]byte("x"))
		path, err := o.Path()
		if err != nil {
			return err
		}
		if _, err := os.Stat(path); err != nil {
			return err
		}
		o.Release()
		s.Close()
	}
	return nil
}

// TestForeignLeftover checks that another user's subdirectory is left alone.
func TestForeignLeftover(t *testing.T) {
	dir := t.TempDir()
	sub := filepath.Join(dir, subPrefix+"X")
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(sub, filePrefix+"X"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(sub, filepath.Join(dir, subPrefix+"link")); err != nil {
		t.Fatal(err)
	}
	want := 1 // the link
	if os.Geteuid() == 0 {
		if err := os.Chown(sub, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		want = 3
	}
	removeLeftovers(dir)
	if left := tree(t, dir); len(left) != want {
		t.Errorf("left %q, want %d of them", left, want)
	}
}

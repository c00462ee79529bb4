package protocol_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"polyclam/protocol"
	"polyclam/test/child"
	"polyclam/test/clamdtest"
)

func realContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// put writes a file that every user can read.
func put(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func openFile(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestClientWithClamd sends every request of the client to a real clamd.
func TestClientWithClamd(t *testing.T) {
	d := clamdtest.Start(t, clamdtest.Options{TCP: true, Conf: []string{"StreamMaxLength 300000"}})
	ctx := realContext(t)
	for _, c := range []*protocol.Client{{Network: "unix", Address: d.Socket}, {Network: "tcp", Address: d.TCP}} {
		if err := c.Ping(ctx); err != nil {
			t.Error(err)
		}
		if v, err := c.Version(ctx); err != nil || !strings.HasPrefix(v, "ClamAV ") {
			t.Errorf("%q, %v", v, err)
		}
		if v, verbs, err := c.VersionCommands(ctx); err != nil || !strings.HasPrefix(v, "ClamAV ") || len(verbs) < 10 {
			t.Errorf("%q, %q, %v", v, verbs, err)
		}
		if s, err := c.Stats(ctx); err != nil || !strings.Contains(s, "THREADS: ") {
			t.Errorf("%q, %v", s, err)
		}
		if r, err := c.Instream(ctx, strings.NewReader(clamdtest.EICAR())); err != nil || !r.Found() {
			t.Errorf("EICAR: %+v, %v", r, err)
		}
		if r, err := c.Instream(ctx, strings.NewReader("")); err != nil || !r.OK() {
			t.Errorf("empty: %+v, %v", r, err)
		}
		for _, size := range []int{300001, 32 << 20} {
			if r, err := c.Instream(ctx, strings.NewReader(strings.Repeat("x", size))); !errors.Is(err, protocol.ErrInstreamLimit) {
				t.Errorf("%d bytes: %+v, %v", size, r, err)
			}
		}
		if _, err := c.XInstream(ctx, strings.NewReader("x")); !errors.Is(err, protocol.ErrUnknownCommand) {
			t.Errorf("XINSTREAM: %v", err)
		}
		if _, err := c.XScan(ctx, "/x"); !errors.Is(err, protocol.ErrUnknownCommand) {
			t.Errorf("XSCAN: %v", err)
		}
		if err := c.Reload(ctx); err != nil {
			t.Error(err)
		}
	}
}

func TestClientScansPaths(t *testing.T) {
	d := clamdtest.Start(t, clamdtest.Options{})
	c, ctx := &protocol.Client{Network: "unix", Address: d.Socket}, realContext(t)
	dir := clamdtest.Dir(t, "")
	put(t, dir, "a: one", clamdtest.One)
	both := put(t, dir, "both\n\xff: OK", clamdtest.One+clamdtest.Two)
	put(t, dir, "clean", "clean")
	missing := filepath.Join(dir, "missing: OK")

	if r, err := c.Scan(ctx, both); err != nil || !r.Found() || r.Object != both {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := c.Scan(ctx, filepath.Join(dir, "clean")); err != nil || !r.OK() {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := c.Scan(ctx, dir+"//"); err != nil || !r.Found() || !strings.HasPrefix(r.Object, dir+"/") {
		t.Errorf("%+v, %v", r, err)
	}
	var answer *protocol.ReplyError
	if r, err := c.Scan(ctx, missing); !errors.As(err, &answer) || !strings.Contains(r.Text, "No such file") {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := c.Scan(ctx, "/dev/null"); err == nil {
		t.Errorf("a device, which clamd calls ERROR and OK: %+v", r)
	}
	for name, scan := range map[string]func(context.Context, string) iter.Seq2[protocol.Reply, error]{
		"CONTSCAN": c.ContScan, "MULTISCAN": c.MultiScan,
	} {
		var found []string
		for r, err := range scan(ctx, dir) {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if r.Found() {
				found = append(found, filepath.Base(r.Object))
			}
		}
		if len(found) != 2 {
			t.Errorf("%s: found %q", name, found)
		}
	}
	n := 0
	for r, err := range c.AllMatchScan(ctx, both) {
		if n++; err != nil || !r.Found() {
			t.Errorf("ALLMATCHSCAN: %+v, %v", r, err)
		}
	}
	if n < 2 {
		t.Errorf("ALLMATCHSCAN: %d replies", n)
	}
}

func TestClientPassesDescriptors(t *testing.T) {
	d := clamdtest.Start(t, clamdtest.Options{})
	c, ctx, dir := &protocol.Client{Network: "unix", Address: d.Socket}, realContext(t), t.TempDir()
	bad, good := openFile(t, put(t, dir, "bad", clamdtest.EICAR())), openFile(t, put(t, dir, "good", "good"))
	if _, err := bad.Seek(0, 2); err != nil {
		t.Fatal(err)
	}
	s, err := c.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 3 {
		for _, fildes := range []func(context.Context, *os.File) (protocol.Reply, error){c.Fildes, s.Fildes} {
			if r, err := fildes(ctx, bad); err != nil || !r.Found() {
				t.Errorf("bad: %+v, %v", r, err)
			}
			if r, err := fildes(ctx, good); err != nil || !r.OK() {
				t.Errorf("good: %+v, %v", r, err)
			}
		}
	}
	n, err := child.Descriptors(d.Pid)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, err := s.Fildes(ctx, good); err != nil {
			t.Fatal(err)
		}
	}
	if after, err := child.Descriptors(d.Pid); err != nil || after > n+5 {
		t.Errorf("clamd had %d descriptors open, now %d, %v", n, after, err)
	}
}

// TestSessionWithClamd sends many requests of all kinds concurrently. Each must get its
// own reply.
func TestSessionWithClamd(t *testing.T) {
	d := clamdtest.Start(t, clamdtest.Options{})
	c, ctx, dir := &protocol.Client{Network: "unix", Address: d.Socket}, realContext(t), clamdtest.Dir(t, "")
	bad := put(t, dir, "bad", clamdtest.Two)
	f := openFile(t, bad)
	s, err := c.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	// Alone: clamd 1.4.6 writes its version in two pieces, and the reply to a scan
	// may come between them.
	if v, err := s.Version(ctx); err != nil || !strings.HasPrefix(v, "ClamAV ") {
		t.Fatalf("version %q, %v", v, err)
	}
	requests := []func() error{
		func() error { return s.Ping(ctx) },
		func() error { r, err := s.Instream(ctx, strings.NewReader("clean")); return expect(r, err, "") },
		func() error {
			r, err := s.Instream(ctx, strings.NewReader(clamdtest.EICAR()))
			return expect(r, err, "Eicar-Test-Signature.UNOFFICIAL")
		},
		func() error { r, err := s.Scan(ctx, bad); return expect(r, err, "Polyclam.Test.Two.UNOFFICIAL") },
		func() error { r, err := s.Fildes(ctx, f); return expect(r, err, "Polyclam.Test.Two.UNOFFICIAL") },
	}
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			if err := requests[i%len(requests)](); err != nil {
				t.Errorf("request of kind %d: %v", i%len(requests), err)
			}
		})
	}
	wg.Wait()
	if !s.Usable() {
		t.Error("not usable at the end")
	}
}

// expect checks for a name, or for OK.
func expect(r protocol.Reply, err error, name string) error {
	if err != nil || r.Text != name || r.Found() != (name != "") {
		return fmt.Errorf("got %+v, %w", r, err)
	}
	return nil
}

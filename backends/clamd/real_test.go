package clamd

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/testfile"
	"polyclam/test/clamdtest"
	"polyclam/test/testkit"
)

// TestRealClamd runs the conformance suite with a real clamd.
func TestRealClamd(t *testing.T) {
	d := clamdtest.Start(t, clamdtest.Options{TCP: true, Conf: []string{"AlertEncrypted yes"}})
	for _, tt := range []struct{ name, address, transport string }{
		{"fildes", "unix:" + d.Socket, transportAuto},
		{"stream", "unix:" + d.Socket, transportStream},
		{"tcp", "tcp:" + d.TCP, transportAuto},
	} {
		t.Run(tt.name, func(t *testing.T) {
			network := "unix"
			if tt.name == "tcp" {
				network = "tcp"
			}
			dial := func(t *testing.T, address string) backends.Backend { return open(t, address, tt.transport) }
			if tt.name == "stream" {
				dial = nil // "tcp" tries erratic engines with streams
			}
			backendtest.Run(t, func(t *testing.T) backends.Backend { return open(t, tt.address, tt.transport) }, backendtest.Options{
				Encrypted: true, Parallel: 30, Network: network, Dial: dial,
				Half: []backendtest.Words{
					backendtest.Composed("1: stream: OK"), backendtest.Composed("1: stream: O"), backendtest.Composed("1: fd[3]: OK"),
					backendtest.Composed("stream: OK\n"), backendtest.Composed("2: stream: OK\x00"),
				},
			})
		})
	}
}

// inDir returns an object in a file that every user can read.
func inDir(t *testing.T, name string, data []byte) backends.Object {
	t.Helper()
	path := filepath.Join(clamdtest.Dir(t, ""), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return backendtest.AtPath(backendtest.Bytes(t, data), path)
}

func TestRealPath(t *testing.T) {
	d := clamdtest.Start(t, clamdtest.Options{})
	b, ctx := open(t, "unix:"+d.Socket, transportPath), backendtest.Context(t)
	eicar := testfile.EICAR()
	for range 3 {
		if r, err := b.Scan(ctx, inDir(t, "a: b: OK", eicar)); err != nil || r.Category != backends.Virus {
			t.Errorf("got %+v, %v", r, err)
		}
		if r, err := b.Scan(ctx, inDir(t, "new\nline \xff FOUND", []byte("clean"))); err != nil || r.Category != backends.OK {
			t.Errorf("got %+v, %v", r, err)
		}
	}
	link := filepath.Join(t.TempDir(), "link")
	target := inDir(t, "target", eicar)
	if err := os.Symlink(backendtest.RealPath(t, target), link); err != nil {
		t.Fatal(err)
	}
	if r, err := b.Scan(ctx, backendtest.AtPath(target, link)); err != nil || r.Category != backends.Virus {
		t.Errorf("a link, for which clamd itself answers OK: got %+v, %v", r, err)
	}
	if !clamdtest.Unprivileged() {
		return
	}
	hidden := inDir(t, "hidden", eicar)
	if err := os.Chmod(backendtest.RealPath(t, hidden), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := b.Scan(ctx, hidden); err == nil || backends.CategoryOf(err) != backends.SWErr {
		t.Errorf("unreadable: got %+v, %v", r, err)
	}
	if r, err := b.ScanAll(ctx, hidden); err == nil || backends.CategoryOf(err) != backends.SWErr {
		t.Errorf("unreadable, all: got %+v, %v", r, err)
	}
}

func TestRealScanAll(t *testing.T) {
	d := clamdtest.Start(t, clamdtest.Options{})
	b, ctx := open(t, "unix:"+d.Socket, transportAuto), backendtest.Context(t)
	both := []byte(clamdtest.One + "\n" + clamdtest.Two)
	r, err := b.ScanAll(ctx, inDir(t, "both", both))
	if err != nil || r.Category != backends.Virus || len(r.Findings) < 2 {
		t.Errorf("got %+v, %v", r, err)
	}
	if r, err := b.ScanAll(ctx, inDir(t, "clean", []byte("clean"))); err != nil || r.Category != backends.OK {
		t.Errorf("got %+v, %v", r, err)
	}
	r, err = b.ScanAll(ctx, withoutFile{backendtest.Bytes(t, both)})
	if err != nil || r.Category != backends.Virus || len(r.Findings) != 1 {
		t.Errorf("without a path: got %+v, %v", r, err)
	}
}

func TestRealLimitsAndRestart(t *testing.T) {
	d := clamdtest.Start(t, clamdtest.Options{TCP: true, Conf: []string{"StreamMaxLength 100000"}})
	ctx := backendtest.Context(t)
	for _, address := range []string{"unix:" + d.Socket, "tcp:" + d.TCP} {
		b := open(t, address, transportStream)
		for _, size := range []int{100000, 100001, 8 << 20} {
			want := backends.Partial
			if size == 100000 {
				want = backends.OK
			}
			if r, err := b.Scan(ctx, backendtest.LargeObject(t, size)); err != nil || r.Category != want {
				t.Errorf("%s, %d bytes: got %+v, %v", address, size, r, err)
			}
		}
	}
	b := open(t, "unix:"+d.Socket, transportAuto)
	eicar := backendtest.Bytes(t, testfile.EICAR())
	for i := range 3 {
		if r, err := b.Scan(ctx, eicar); err != nil || r.Category != backends.Virus || r.Code != 1 {
			t.Errorf("%d: got %+v, %v", i, r, err)
		}
		if i == 1 {
			d.Restart() // ends the kept session
		}
	}
	if err := b.Reload(ctx); err != nil {
		t.Error(err)
	}
	if v, err := b.Version(ctx); err != nil || v.Engine == "" {
		t.Errorf("got %+v, %v", v, err)
	}
	d.Kill()
	if r, err := b.Scan(ctx, eicar); err == nil || backends.CategoryOf(err) != backends.CannotExecute {
		t.Errorf("killed: got %+v, %v", r, err)
	}
}

// TestRealConcurrency checks that every scan gets the answer about its own object, and that
// there are no more sessions than concurrent scans.
func TestRealConcurrency(t *testing.T) {
	d := clamdtest.Start(t, clamdtest.Options{})
	for _, transport := range []string{transportFildes, transportStream} {
		b := open(t, "unix:"+d.Socket, transport)
		bad, good := backendtest.Bytes(t, []byte(clamdtest.One)), backendtest.CleanObject(t)
		var wg sync.WaitGroup
		const scanners = 8
		for i := range scanners {
			wg.Add(1)
			go func() {
				defer wg.Done()
				o, want := backends.Object(good), backends.OK
				if i%2 == 0 {
					o, want = bad, backends.Virus
				}
				for range 20 {
					if r, err := b.Scan(backendtest.Context(t), o); err != nil || r.Category != want {
						t.Errorf("got %+v, %v, want %s", r, err, want)
						return
					}
				}
			}()
		}
		wg.Wait()
		if n := b.pool.Len(); n > scanners {
			t.Errorf("%d sessions for %d concurrent scans", n, scanners)
		}
	}
}

// TestRealReload checks that a kept session uses new signatures after RELOAD.
func TestRealReload(t *testing.T) {
	d := clamdtest.Start(t, clamdtest.Options{})
	b, ctx := open(t, "unix:"+d.Socket, transportAuto), backendtest.Context(t)
	const pattern = "a text without a signature so far"
	if r, err := b.Scan(ctx, backendtest.Bytes(t, []byte(pattern))); err != nil || r.Category != backends.OK {
		t.Fatalf("got %+v, %v", r, err)
	}
	signature := "New:0:*:" + hex.EncodeToString([]byte(pattern)) + "\n"
	if err := os.WriteFile(filepath.Join(d.Dir, "db", "new.ndb"), []byte(signature), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := b.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	n := 0
	testkit.Eventually(t, "the new signature is found", func() bool {
		n++ // clamd caches clean objects
		r, err := b.Scan(ctx, backendtest.Bytes(t, fmt.Appendf(nil, "%d %s", n, pattern)))
		if err != nil {
			t.Fatal(err)
		}
		return r.Category == backends.Virus
	})
}

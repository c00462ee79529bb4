package sssp

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/sssp/ssspfake"
	"polyclam/backends/testfile"
	"polyclam/test/testkit"
)

// TestExactBytes checks every byte of two scans on one connection.
func TestExactBytes(t *testing.T) {
	data := bytes.Repeat([]byte("SCANDATA 5\r\nBYE\r\n\x00"), 20_000)
	d := backendtest.StartDaemon(t, "tcp", prepared(
		want("SCANDATA 360000\r\n"), say("ACC 1/3\r\n"), want(string(data)), say(done), want("QUERY SERVER\r\n"), say(fenced("", 4)),
		want("SCANDATA 0\r\n"), say("ACC 1/5\r\n"), want("QUERY SERVER\r\n"), say(fenced(done, 6)), want("BYE\r\n"), backendtest.Drain()))
	b := open(t, d.Address(), nil)
	for _, o := range []backends.Object{backendtest.Bytes(t, data), backendtest.Bytes(t, nil)} {
		if r, err := b.Scan(backendtest.Context(t), o); err != nil || r.Category != backends.OK {
			t.Fatalf("got %+v, %v", r, err)
		}
	}
	b.Close()
	testkit.Eventually(t, "BYE", func() bool { return bytes.HasSuffix(d.Received(0), []byte("BYE\r\n")) })
}

// shrunk is an object that is shorter than its size.
type shrunk struct{ *backendtest.Object }

func (shrunk) Size() int64 { return 100_000 }

func TestShortObject(t *testing.T) {
	s := ssspfake.Start(t, ssspfake.Options{})
	wantFailure(t, open(t, s.Address(), nil), shrunk{backendtest.LargeObject(t, 70_000)}, backends.SWErr, "ends after 70000 of 100000 bytes")
	s = ssspfake.Start(t, ssspfake.Options{ScanFile: true})
	wantFailure(t, open(t, s.Address(), byFile), shrunk{backendtest.LargeObject(t, 70_000)}, backends.SWErr, "the object has 100000")
}

func TestHostilePath(t *testing.T) {
	dir := t.TempDir()
	path := dir + "/a b\r\nBYE\r\n%41+é"
	if err := os.WriteFile(path, testfile.EICAR(), 0o600); err != nil {
		t.Fatal(err)
	}
	s := ssspfake.Start(t, ssspfake.Options{ScanFile: true})
	b := open(t, s.Address(), byFile)
	o := backendtest.Bytes(t, testfile.EICAR())
	r, err := b.Scan(backendtest.Context(t), backendtest.AtPath(o, path))
	if err != nil || r.Category != backends.Virus || len(r.Findings) != 1 || r.Findings[0].Name != "EICAR-AV-Test" {
		t.Errorf("got %+v, %v", r, err)
	}
	for _, bad := range []string{dir, dir + "/missing", "/dev/null", ""} {
		wantFailure(t, b, backendtest.AtPath(o, bad), backends.SWErr, "path of the object")
	}
}

// TestUnreadableFile checks the hint for a file that savdid cannot read.
func TestUnreadableFile(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", prepared(backendtest.WantUntil('\n', 1000, nil),
		say("ACC 1/3\r\nFAIL 0210 /path\r\nDONE FAIL 0210 Could not open item passed to SAVI for scanning\r\n\r\n"), backendtest.Drain()))
	wantFailure(t, open(t, d.Address(), byFile), x(t), backends.SWErr, "its user needs access")
}

// TestACCAfterData checks that data is never sent before savdid accepts it.
func TestACCAfterData(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	d := backendtest.StartDaemon(t, "unix", prepared(want("SCANDATA 1\r\n"), func(*backendtest.Session) error {
		time.AfterFunc(50*time.Millisecond, cancel) // time for the data, which must not arrive
		return nil
	}, backendtest.Drain()))
	if r, err := open(t, d.Address(), nil).Scan(ctx, x(t)); backends.CategoryOf(err) != backends.Interrupted {
		t.Errorf("got %+v, %v", r, err)
	}
	if got := d.Received(0); !bytes.HasSuffix(got, []byte("SCANDATA 1\r\n")) {
		t.Errorf("sent %q", got)
	}
	// An object without data can be answered.
	s := ssspfake.Start(t, ssspfake.Options{ACCAfterData: true})
	if r, err := open(t, s.Address(), nil).Scan(backendtest.Context(t), backendtest.Bytes(t, nil)); err != nil || r.Category != backends.OK {
		t.Errorf("got %+v, %v", r, err)
	}
}

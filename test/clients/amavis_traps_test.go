package clients

import (
	"archive/zip"
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"polyclam/test/clamdtest"
	"polyclam/test/mailtest"
)

// TestAmavisManyParts shows what happens to a mail with many parts when the engine
// starts to fail half-way. amavis 2.13 sends a clamd: entry as many files as fit into
// 4,000 bytes of names, and forgets a failure if an earlier batch was clean (AV.pm,
// run_av).
func TestAmavisManyParts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, entry string
		names       string // of the files in the entry, instead of *
		parts, good int
		want        outcome
	}{
		{"CONTSCAN", amavisContscan, "", 900, 850, refused},
		{"clamdscan", amavisClamdscan, "", 900, 850, refused},
		{"clamd:", amavisStream, "*", 700, 650, refused},
		{"clamd:", amavisStream, "*", 900, 850, clean},
		{"clamd: with {}/*", amavisStream, "{}/*", 160, 80, clean},
	} {
		t.Run(fmt.Sprintf("%s %d", tt.name, tt.parts), func(t *testing.T) {
			t.Parallel()
			c := amavis("", tt.entry, true)
			at := newTarget(t, c)
			e := &engines{failing: startFailing(t, tt.good)}
			at.startWith(t, c, e, worldFailing, "")
			a := startAmavisd(t, strings.ReplaceAll(amavisConf(t, at, tt.entry, true), `"*"`, `"`+tt.names+`"`))
			var parts []mailtest.Attachment
			for i := range tt.parts {
				parts = append(parts, mailtest.Attachment{Name: "part", Data: fmt.Appendf(nil, "part %d\n", i)})
			}
			got := a.send(t, parts...)
			if got.outcome != tt.want {
				t.Errorf("%s (%s), want %s", got.outcome, got.text, tt.want)
			}
			t.Logf("table: amavis (%s), engine fails after %d of %d parts: %s", tt.name, tt.good, tt.parts, got.outcome)
		})
	}
}

// startFailing runs a clamd that answers OK to the first good scans and ERROR to all
// others.
func startFailing(t *testing.T, good int) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	t.Cleanup(func() { l.Close(); open.Wait() })
	var scans atomic.Int64
	open.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			reply := "stream: OK"
			if scans.Add(1) > int64(good) {
				reply = "stream: Can't allocate memory ERROR"
			}
			open.Go(func() { serveFake(nc, reply) })
		}
	})
	return l.Addr().String()
}

// TestAmavisManyFiles shows that amavis skips the virus scan of a mail whose archive
// has more than $MAXFILES files (1,500 in Debian). It delivers the mail with a header
// that a filter must look for.
func TestAmavisManyFiles(t *testing.T) {
	t.Parallel()
	var archive bytes.Buffer
	zw := zip.NewWriter(&archive)
	for i := range 1600 {
		w, err := zw.Create(fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(w, i)
	}
	if w, err := zw.Create("eicar.com"); err != nil {
		t.Fatal(err)
	} else if _, err := w.Write([]byte(clamdtest.EICAR())); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	c := amavis("", amavisContscan, true)
	at := newTarget(t, c)
	at.startWith(t, c, &engines{clamd: clamdtest.Start(t, clamdtest.Options{Daily: true}).Socket}, worldUp, "")
	a := startAmavisd(t, amavisConf(t, at, amavisContscan, true))
	got := a.send(t, mailtest.Attachment{Name: "many.zip", Data: archive.Bytes()})
	if got.outcome != flagged {
		t.Fatalf("%s (%s), want %s", got.outcome, got.text, flagged)
	}
	hold, _, _ := strings.Cut(a.sink.Mails()[0].Header.Get("X-Amavis-Hold"), " at /")
	if !strings.Contains(hold, "Maximum number of files") {
		t.Errorf("X-Amavis-Hold: %q", hold)
	}
	t.Logf("table: amavis (CONTSCAN), EICAR in a ZIP of 1601 files: %s, X-Amavis-Hold: %s", got.outcome, hold)
}

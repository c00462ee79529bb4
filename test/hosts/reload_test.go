package hosts

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"polyclam/test/clamdtest"
	"polyclam/test/testkit"
)

// newVirus is in no signature at first.
const newVirus = "polyclam-test-marker-of-tomorrow"

// addSignature gives a clamd a signature for newVirus: in its own file, or as a newer daily.cud.
func addSignature(t *testing.T, clamd *clamdtest.Clamd, official bool) {
	t.Helper()
	line := "Polyclam.Test.Tomorrow:0:*:" + hex.EncodeToString([]byte(newVirus)) + "\n"
	name, content := "local.ndb", []byte(line)
	if official {
		var err error
		name = "daily.cud"
		if content, err = clamdtest.Container("daily", time.Unix(clamdtest.DailyTime+86400, 0), line); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(clamd.Dir, "db", name)
	if err := os.WriteFile(path+".new", content, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// version is what the host's node has last reported.
func (h *host) version() string {
	h.t.Helper()
	_, rest, _ := strings.Cut(h.status(), ` version="`)
	version, _, _ := strings.Cut(rest, `"`)
	return version
}

// TestNewSignatures has two hosts with a clamd each. One clamd after the other loads newer
// signatures without a RELOAD through polyclamd, as after freshclam. Once a host knows the new
// version of its clamd, no old result counts there, although the other host still adds some.
func TestNewSignatures(t *testing.T) {
	t.Parallel()
	s := startStore(t)
	var clamds [2]*clamdtest.Clamd
	var hosts [2]*host
	for i := range hosts {
		clamds[i] = clamdtest.Start(t, clamdtest.Options{Daily: true})
		hosts[i] = s.startHost(t, options{clamd: "unix:" + clamds[i].Socket})
	}
	infected := "a mail with " + newVirus
	list := append(objects(8), infected)
	hosts[0].keep(list...)
	for _, o := range list {
		if record, cached := hosts[1].record(o); !cached {
			t.Errorf("host 2 does not have what host 1 has scanned: %s", record)
		}
	}
	old := hosts[0].version()
	passed := 0 // by the host whose clamd does not know it yet
	for i, h := range hosts {
		addSignature(t, clamds[i], true)
		before := h.scans()
		if reply := converse(t, clamds[i].Socket, "zRELOAD\x00"); reply != "RELOADING\x00" {
			t.Fatalf("clamd answers %q to RELOAD", reply)
		}
		isNew := false
		testkit.Eventually(t, "the host knows the new version", func() bool {
			isNew = h.version() != old && h.version() != ""
			h.scan(infected)
			return isNew
		})
		for range 20 {
			for _, other := range hosts[i+1:] {
				if strings.HasSuffix(other.scan(infected), "OK\x00") {
					passed++
				}
			}
			if got := h.scan(infected); !strings.HasSuffix(got, "FOUND\x00") {
				t.Errorf("host %d: %q with the new signatures", i+1, got)
			}
		}
		for _, o := range list[:8] {
			if record, cached := h.record(o); cached && i == 0 {
				t.Errorf("host %d uses a result of the old signatures: %s", i+1, record)
			}
		}
		t.Logf("measured: host %d: new version of clamd: the object is FOUND 20 of 20 times, %d scans", i+1, h.scans()-before)
	}
	if passed == 0 {
		t.Error("the other host never called it OK, so this proves little")
	}
}

// TestReloadElsewhere has two hosts that ask the same clamd, which has signatures of the site
// only and so no version. The client of one host sends RELOAD; the other host notices, although
// its results would be good for an hour.
func TestReloadElsewhere(t *testing.T) {
	t.Parallel()
	s := startStore(t)
	clamd := clamdtest.Start(t, clamdtest.Options{})
	var hosts []*host
	for range 2 {
		hosts = append(hosts, s.startHost(t, options{clamd: "unix:" + clamd.Socket}))
	}
	one, two := hosts[0], hosts[1]
	infected := "a mail with " + newVirus
	two.keep(infected, "a clean mail")
	for _, h := range hosts {
		for range 2 { // from the store, from memory
			if record, cached := h.record(infected); !cached || category(record) != "ok" {
				t.Fatalf("not from the cache: %s", record)
			}
		}
	}
	addSignature(t, clamd, false)
	// Both hosts are used all the time.
	var used sync.WaitGroup
	var stop atomic.Bool
	defer used.Wait()
	defer stop.Store(true)
	var served, unknown atomic.Int64
	for _, h := range hosts {
		used.Go(func() {
			for i := 0; !stop.Load(); i++ {
				switch reply, err := try(h.Socket, stream("INSTREAM", fmt.Sprint("a mail ", i%10))); {
				case err != nil || !strings.HasSuffix(reply, "OK\x00"):
					unknown.Add(1)
				default:
					served.Add(1)
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	if reply := one.ask("zRELOAD\x00"); reply != "RELOADING\x00" {
		t.Fatalf("RELOAD: %q", reply)
	}
	sent := time.Now()
	late := 0
	testkit.Eventually(t, "host 2 finds it", func() bool {
		late++
		return strings.HasSuffix(two.scan(infected), "FOUND\x00")
	})
	t.Logf("measured: host 2 notices the RELOAD of host 1 after %v; until then %d replies OK", time.Since(sent).Round(10*time.Millisecond), late-1)
	for range 20 {
		for i, h := range hosts {
			if got := h.scan(infected); !strings.HasSuffix(got, "FOUND\x00") {
				t.Errorf("host %d: %q", i+1, got)
			}
			if record, cached := h.record("a clean mail"); cached {
				t.Errorf("host %d uses a result from before the reload: %s", i+1, record)
			}
		}
	}
	// A host that starts now knows of the reload before it uses the store.
	three := s.startHost(t, options{clamd: "unix:" + clamd.Socket})
	for range 20 {
		if got := three.scan(infected); !strings.HasSuffix(got, "FOUND\x00") {
			t.Errorf("a new host: %q", got)
		}
	}
	stop.Store(true)
	used.Wait()
	if unknown.Load() != 0 || served.Load() == 0 {
		t.Errorf("%d other scans, %d without OK", served.Load(), unknown.Load())
	}
	if s.do(t, "DBSIZE") == ":0" {
		t.Error("nothing is in the store")
	}
}

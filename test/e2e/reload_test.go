package e2e

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"polyclam/test/clamdtest"
)

// TestRollingReload makes three clamds load more signatures while clients scan. While
// it loads, a clamd answers nothing: clamd 1.4.6 even waits first until its idle
// threads have ended (IdleTimeout, 30 s by default).
func TestRollingReload(t *testing.T) {
	var nodes []*clamdtest.Clamd
	var addresses []string
	for range 3 {
		clamd := clamdtest.Start(t, clamdtest.Options{Conf: []string{"ConcurrentDatabaseReload no", "IdleTimeout 1"}})
		nodes = append(nodes, clamd)
		addresses = append(addresses, fmt.Sprintf("%q", "unix:"+clamd.Socket))
	}
	polyclam := clamdtest.StartPolyclam(t, fmt.Sprintf(`
[[listener]]
address = "unix:${DIR}/p.sock"

[[engine]]
name = "clamav"
backend = "clamd"
addresses = [%s]
size_check = false

[spool]
directory = "${DIR}/tmp"

[log]
format = "json"
`, strings.Join(addresses, ", ")), clamdtest.Options{})
	poll(t, "three nodes that are up", func() bool {
		reply, _ := ask("unix", polyclam.Socket, "zXSTATUS\x00")
		return strings.Count(reply, " state=up ") == 3
	})
	for _, clamd := range nodes {
		write(t, filepath.Join(clamd.Dir, "db", "more.ndb"), signatures(50_000), 0o644)
	}

	var stop atomic.Bool
	var scans, failed, longest atomic.Int64
	var clients sync.WaitGroup
	t.Cleanup(func() {
		stop.Store(true)
		clients.Wait()
	})
	for i := range 4 {
		clients.Go(func() {
			object, want := "nothing bad", "stream: OK\x00"
			if i%2 == 1 {
				object, want = clamdtest.One, "stream: "+clamdtest.OneName+" FOUND\x00"
			}
			for !stop.Load() {
				begin := time.Now()
				if reply, err := ask("unix", polyclam.Socket, instream(object)); err != nil || reply != want {
					failed.Add(1)
					t.Errorf("%q, %v, want %q", reply, err, want)
				}
				scans.Add(1)
				if took := int64(time.Since(begin)); took > longest.Load() {
					longest.Store(took) // for information: two clients may overwrite each other
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	if reply, err := ask("unix", polyclam.Socket, "zRELOAD\x00"); reply != "RELOADING\x00" {
		t.Errorf("%q, %v", reply, err)
	}
	poll(t, "three nodes that have loaded", func() bool { return strings.Count(polyclam.Log(), `"message":"node reloaded"`) == 3 })
	stop.Store(true)
	clients.Wait()
	for i, clamd := range nodes {
		if !strings.Contains(clamd.Log(), "Database correctly reloaded (50") {
			t.Errorf("clamd %d has not loaded", i)
		}
	}
	if strings.Contains(polyclam.Log(), "node down") {
		t.Error("a node went down")
	}
	t.Logf("count: %d scans during a rolling reload, %d failed, the longest took %v", scans.Load(), failed.Load(), time.Duration(longest.Load()))
}

// signatures are n of ClamAV's body signatures that match nothing.
func signatures(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "Polyclam.Test.More.%d:0:*:%016x%016x%016x\n", i, rand.Uint64(), rand.Uint64(), rand.Uint64())
	}
	return b.String()
}

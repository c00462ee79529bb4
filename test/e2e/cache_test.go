package e2e

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"polyclam/test/clamdtest"
)

// withCache is a configuration with a cache in memory. The clamd of the tests has signatures
// of its own only, so it does not report their version.
func withCache(socket, more string) string {
	return config(socket, more+"\ncanary_interval = \"5m\"\ncache_ttl = \"1h\"\n") + "\n[cache]\nmemory = \"8MiB\"\n"
}

// xinstream scans a stream and returns the record of the engine, and whether its result came
// from a cache.
func xinstream(t *testing.T, p *clamdtest.Polyclam, mail string) (line, record string, cached bool) {
	t.Helper()
	reply, err := ask("unix", p.Socket, strings.Replace(instream(mail), "INSTREAM", "XINSTREAM", 1))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.FieldsFunc(reply, func(r rune) bool { return r == 0 || r == '\n' })
	for _, l := range lines {
		if strings.HasSuffix(l, " ENGINE") && strings.Contains(l, "engine=clamav") {
			record = l
		}
	}
	answered := strings.Contains(record, "category=ok") || strings.Contains(record, "category=virus")
	return lines[0], record, answered && !strings.Contains(record, "node=") // no node was asked
}

// TestBlindLeavesNothing fills clamd's TemporaryDirectory. clamd then calls mails with EICAR
// OK. No such OK may be in the cache afterwards. Run it for ten seconds with
//
//	POLYCLAM_BLIND=10s go test ./test/e2e -run TestBlindLeavesNothing -count=1 -v
func TestBlindLeavesNothing(t *testing.T) {
	clamd := clamdtest.Start(t, clamdtest.Options{TempSize: "256k"})
	p := clamdtest.StartPolyclam(t, withCache(clamd.Socket, "transport = \"fildes\""), clamdtest.Options{})
	clean := strings.Repeat("a clean mail\r\n", 50)
	poll(t, "a result from the cache", func() bool { // or the rest proves nothing
		_, _, cached := xinstream(t, p, clean)
		return cached
	})
	used := cacheUsed(t, p)
	var mails []string
	passed := 0
	duration, err := time.ParseDuration(cmp.Or(os.Getenv("POLYCLAM_BLIND"), "3s"))
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	for time.Since(begin) < duration {
		clamd.Fill()
		mail := "Received: by localhost\r\n" + newMail() // polyclam's own test mails are never kept
		mails = append(mails, mail)
		line, record, cached := xinstream(t, p, mail)
		if cached {
			t.Errorf("the first scan of a mail came from the cache: %s", record)
		}
		if strings.HasSuffix(line, "OK") {
			passed++
		}
		time.Sleep(20 * time.Millisecond)
	}
	if passed == 0 {
		t.Fatal("clamd was never blind, so this proves nothing")
	}
	if now := cacheUsed(t, p); now != used {
		t.Errorf("the cache has %d bytes, %d before: results of the blind clamd are in it", now, used)
	}
	clamd.Empty()
	poll(t, "a check with room", func() bool { return strings.Contains(clamavStatus(p), "state=up") })
	for _, mail := range mails {
		line, record, cached := xinstream(t, p, mail)
		if cached && strings.HasSuffix(line, "OK") {
			t.Errorf("an OK of the blind clamd is in the cache: %s\n%s", line, record)
		}
	}
	wrong := 0
	poll(t, "clamd to forget", func() bool { // see forgetAnswers
		wrong = 0
		for _, mail := range mails {
			if line, _, _ := xinstream(t, p, mail); !strings.HasSuffix(line, "FOUND") {
				wrong++
			}
		}
		return wrong == 0
	})
	t.Logf("%d mails while the directory was full, %d of them OK; afterwards all are FOUND", len(mails), passed)
}

// TestIdenticalMails sends 100 identical mails at the same time. Run it with
//
//	go test ./test/e2e -run TestIdenticalMails -count=1 -v
func TestIdenticalMails(t *testing.T) {
	clamd := clamdtest.Start(t, clamdtest.Options{})
	p := clamdtest.StartPolyclam(t, withCache(clamd.Socket, ""), clamdtest.Options{})
	poll(t, "clamd", func() bool { return strings.Contains(clamavStatus(p), "state=up") })
	for round := range 2 {
		mail := fmt.Sprintf("Subject: %d %d\r\n\r\n", round, time.Now().UnixNano()) + strings.Repeat("the same words in each of the mails\r\n", 60000)
		before := scansOf(t, p)
		var wg sync.WaitGroup
		times := make([]time.Duration, 100)
		for i := range times {
			wg.Go(func() {
				begin := time.Now()
				reply, err := ask("unix", p.Socket, instream(mail))
				if err != nil || lastWord(reply) != "OK" {
					t.Errorf("%q, %v", reply, err)
				}
				times[i] = time.Since(begin)
			})
		}
		wg.Wait()
		t.Logf("%d scans for 100 mails of %d bytes; the slowest answer after %v", scansOf(t, p)-before, len(mail), maxOf(times))
		// They arrive one after another, and a result is not in the cache before a health check.
		if n := scansOf(t, p) - before; n > 30 {
			t.Errorf("%d scans for 100 identical mails", n)
		}
	}
}

func maxOf(times []time.Duration) (most time.Duration) {
	for _, d := range times {
		most = max(most, d)
	}
	return most
}

// cacheUsed returns how many bytes the cache has.
func cacheUsed(t *testing.T, p *clamdtest.Polyclam) int {
	t.Helper()
	reply, _ := ask("unix", p.Socket, "zXSTATUS\x00")
	return number(t, reply, "cache_used")
}

// scansOf returns how many objects clamd's node was given.
func scansOf(t *testing.T, p *clamdtest.Polyclam) int {
	t.Helper()
	return number(t, clamavStatus(p), "scans")
}

// number returns the number of a field in a reply to XSTATUS.
func number(t *testing.T, reply, field string) (n int) {
	t.Helper()
	for word := range strings.FieldsSeq(reply) {
		if _, err := fmt.Sscanf(word, field+"=%d", &n); err == nil {
			return n
		}
	}
	t.Fatalf("no %s in %q", field, reply)
	return 0
}

package hosts

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"polyclam/backends/testfile"
	"polyclam/test/clamdtest"
)

// objects returns n different objects: clean, infected, encrypted, infected with an odd name.
func objects(n int) (list []string) {
	for i := range n {
		text := fmt.Sprintf("object %d of the test\n", i)
		switch i % 4 {
		case 1:
			text += clamdtest.One
		case 2:
			text = string(testfile.Encrypted()) + text
		case 3:
			text += clamdtest.Odd
		}
		list = append(list, text)
	}
	return list
}

// TestShared has one host scan objects, and another one get them: it asks no engine, and its
// replies are the same, byte for byte.
func TestShared(t *testing.T) {
	t.Parallel()
	n := 100
	if more, err := strconv.Atoi(os.Getenv(objectsEnv)); err == nil {
		n = more
	}
	s := startStore(t)
	clamd := clamdtest.Start(t, clamdtest.Options{Daily: true, Conf: []string{"AlertEncrypted yes"}})
	one := s.startHost(t, options{clamd: "unix:" + clamd.Socket})
	list := objects(n)
	type answers struct{ plain, extended string }
	want := map[string]answers{}
	kinds := map[string]int{}
	for _, o := range list {
		record, cached := one.record(o)
		if cached {
			t.Fatalf("the first scan comes from the cache: %s", record)
		}
		want[o] = answers{one.scan(o), record}
		kinds[category(record)]++
	}
	if kinds["ok"] == 0 || kinds["virus"] == 0 || kinds["encrypted"] == 0 {
		t.Fatalf("clamd found %v", kinds)
	}
	one.keep(list...)

	two := s.startHost(t, options{clamd: "unix:" + clamd.Socket, memory: "0"})
	for _, o := range list {
		if got := two.scan(o); got != want[o].plain {
			t.Errorf("reply %q, of the first host %q", got, want[o].plain)
		}
	}
	hits := two.cache().Engines[0]
	scans := two.scans()
	for _, o := range list {
		if got, cached := two.record(o); got != want[o].extended || !cached {
			t.Errorf("record %s, of the first host %s; from the cache: %v", got, want[o].extended, cached)
		}
	}
	if hits != (engineCounters{Shared: n}) || scans != 0 || two.scans() != 0 {
		t.Errorf("%d objects: %+v, %d scans", n, hits, two.scans())
	}
	// With the memory on, the second time needs no question to the store either.
	three := s.startHost(t, options{clamd: "unix:" + clamd.Socket})
	for range 2 {
		for _, o := range list {
			if got := three.scan(o); got != want[o].plain {
				t.Errorf("reply %q, of the first host %q", got, want[o].plain)
			}
		}
	}
	if hits := three.cache().Engines[0]; hits != (engineCounters{Shared: n, Memory: n}) || three.scans() != 0 {
		t.Errorf("%d objects twice: %+v, %d scans", n, hits, three.scans())
	}
	t.Logf("measured: %d objects (%v) that host 1 had scanned: on host 2 %d shared hits, %d misses, %d scans; replies equal", n, kinds, hits.Shared, hits.Misses, scans)
}

// category is that of a record.
func category(record string) string {
	_, rest, _ := strings.Cut(record, "category=")
	word, _, _ := strings.Cut(rest, " ")
	return word
}

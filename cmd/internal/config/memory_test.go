package config

import (
	"strings"
	"testing"

	"polyclam/cmd/internal/machine"
)

func TestFitSpool(t *testing.T) {
	const m = 1 << 20
	const disk = "[spool]\nstore = \"tmpfile\"\ndirectory = \"/proc/polyclam\"\n" // no tmpfs
	for _, test := range []struct {
		name, text      string
		memory          machine.Limit
		total, inMemory int64
		source, warning string
	}{
		{"a large machine", "", machine.Limit{N: 64 << 30, From: "x"}, 2 << 30, 256 * m, "the default", ""},
		{"nothing is known", "", machine.None, 2 << 30, 256 * m, "the default", ""},
		{"a small group", "", machine.Limit{N: 256 * m, From: "memory.max of /a", Hard: true}, 128 * m, 16 * m, "half of 256 MiB, which is memory.max of /a", ""},
		{"less than a stream", "", machine.Limit{N: 100 * m, From: "x"}, 50 * m, 50 * m / 8, "half of 100 MiB, which is x",
			`limits.stream: "100MiB" is more than the spool has on this machine, 50 MiB`},
		{"the file says less", "[limits]\nspool_total = \"100MiB\"\n", machine.Limit{N: 256 * m, From: "x"}, 100 * m, 100 * m / 8, "limits.spool_total", ""},
		{"the file says more", "[limits]\nspool_total = \"200MiB\"\n", machine.Limit{N: 256 * m, From: "memory.max of /a"}, 200 * m, 16 * m, "limits.spool_total",
			`test:5: limits.spool_total: "200MiB" is more than half of the memory, 256 MiB (memory.max of /a)`},
		{"the file says no limit", "[limits]\nspool_total = 0\n", machine.Limit{N: 256 * m, From: "x"}, 0, 16 * m, "limits.spool_total",
			"limits.spool_total: no limit is more than half of the memory"},
		{"the cache has more than half", "[cache]\nmemory = \"9999GiB\"\n", machine.Limit{N: 256 * m, From: "memory.max of /a"}, 128 * m, 16 * m, "half of 256 MiB, which is memory.max of /a",
			`test:5: cache.memory: "9999GiB" is more than half of the memory, 256 MiB (memory.max of /a); at most half of it is used, 128 MiB`},
		{"the cache has half", "[cache]\nmemory = \"128MiB\"\n", machine.Limit{N: 256 * m, From: "x"}, 128 * m, 16 * m, "half of 256 MiB, which is x", ""},
		{"a disk", disk, machine.Limit{N: 256 * m, From: "x"}, 2 << 30, 16 * m, "the default; /proc/polyclam is on a disk, so memory does not bound it", ""},
		{"a disk, and more than memory", disk + "[limits]\nspool_total = \"20GiB\"\n", machine.Limit{N: 256 * m, From: "x"}, 20 << 30, 16 * m, "limits.spool_total", ""},
		{"tmpfile in memory", strings.ReplaceAll(disk, "/proc", "/dev/shm"), machine.Limit{N: 256 * m, From: "x"}, 128 * m, 16 * m, "half of 256 MiB, which is x", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, err := Parse("test", []byte("[[engine]]\nname = \"x\"\nbackend = \"inspect\"\n"+test.text))
			if err != nil {
				t.Fatal(err)
			}
			before := len(f.Warnings)
			source := f.FitSpool(test.memory)
			if f.Limits.SpoolTotal != test.total || f.inMemory != test.inMemory || source != test.source {
				t.Errorf("%d bytes, %d of them in memory, %q; want %d, %d, %q", f.Limits.SpoolTotal, f.inMemory, source, test.total, test.inMemory, test.source)
			}
			if f.Cache.Memory > test.memory.N/2 {
				t.Errorf("the cache may have %d bytes", f.Cache.Memory)
			}
			text := ""
			if len(f.Warnings) > before {
				text = f.Warnings[before].String()
			}
			if (text != "") != (test.warning != "") || !strings.Contains(text, test.warning) {
				t.Errorf("warning %q, want %q", text, test.warning)
			}
		})
	}
}

// TestSpoolMemory checks that long streams stay in memory only where no engine wants a file.
func TestSpoolMemory(t *testing.T) {
	const kib, mib = 1 << 10, 1 << 20
	for _, tt := range []struct {
		name, engine, more string
		memory             int64 // of the machine; 0: not known
		want               int64
	}{
		{"descriptors", "backend = \"clamd\"\naddress = \"unix:/c\"\n", "", 0, 256 * kib},
		{"stream over a Unix socket", "backend = \"clamd\"\naddress = \"unix:/c\"\ntransport = \"stream\"\n", "", 0, 16 * mib},
		{"TCP", "backend = \"clamd\"\naddress = \"tcp:h:3310\"\n", "", 0, 16 * mib},
		{"polyclam over TCP", "backend = \"polyclam\"\naddress = \"tcp:h:3310\"\n", "", 0, 16 * mib},
		{"polyclam", "backend = \"polyclam\"\naddress = \"unix:/c\"\n", "", 0, 256 * kib},
		{"built in", "backend = \"inspect\"\n", "", 0, 16 * mib},
		{"paths", "backend = \"clamd\"\naddress = \"unix:/c\"\ntransport = \"path\"\n", "[spool]\ndirectory = \"/s\"\n", 0, 256 * kib},
		{"one of two nodes", "backend = \"clamd\"\naddresses = [\"tcp:h:1\", \"unix:/c\"]\n", "", 0, 256 * kib},
		{"set", "backend = \"inspect\"\n", "[limits]\nspool_memory = \"128KiB\"\n", 0, 128 * kib},
		{"store on a disk", "backend = \"inspect\"\n", "[spool]\nstore = \"tmpfile\"\ndirectory = \"/s\"\n", 0, 256 * kib},
		{"little memory", "backend = \"inspect\"\n", "", 1 << 30, 8 * mib},
		{"very little memory", "backend = \"inspect\"\n", "", 16 * mib, 256 * kib},
	} {
		f := parsed(t, "[[listener]]\naddress = \"unix:/run/s\"\n[[engine]]\nname = \"e\"\n"+tt.engine+tt.more)
		if tt.memory > 0 {
			f.FitSpool(machine.Limit{N: tt.memory, From: "x"})
		}
		if got := f.Spool().Memory; got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

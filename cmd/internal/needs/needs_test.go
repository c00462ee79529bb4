package needs

import (
	"slices"
	"strings"
	"testing"

	"polyclam/cmd/internal/config"
	"polyclam/cmd/internal/machine"
	"polyclam/proxy/spool"
)

// parse returns a configuration with a listener, inspect and the tables in text.
func parse(t *testing.T, text string) *config.File {
	t.Helper()
	f, err := config.Parse("test", []byte("[[listener]]\naddress = \"unix:/run/s\"\n"+
		"[[engine]]\nname = \"inspect\"\nbackend = \"inspect\"\nmax_scans = 3\nmax_bytes = \"12MiB\"\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const (
	clamd = "[[engine]]\nname = \"clamav\"\nbackend = \"clamd\"\naddresses = [\"unix:/a\", \"unix:/b\"]\nmax_scans = 5\n"
	sweep = "[[engine]]\nname = \"sweep\"\nbackend = \"command\"\nargv = [\"/x\", \"{path}\"]\nexit = { \"0\" = \"ok\" }\nmax_scans = 7\nmax_output = \"64KiB\"\n" +
		"[spool]\ndirectory = \"/dev/shm/polyclam\"\n"
	walks  = 4 * (15 + 1 + 16 + 1) // with few connections
	limits = "[limits]\nconnections = 1000\nspool_total = \"256MiB\"\n"
)

func TestNeeds(t *testing.T) {
	f := parse(t, clamd+sweep+limits)
	f.FitSpool(machine.None)
	n := Of(f)
	if got, want := n.Descriptors.Sum(), int64(ownDescriptors+spool.MaxKept+2+2*1000+1000/16+walks+4096+64+lateDescriptors+2*3+2*10+6*7); got != want {
		t.Errorf("%d descriptors, want %d", got, want)
	}
	threads := n.Threads.Sum()
	f.Engines[1].MaxScans++ // of two nodes
	if got := Of(f).Threads.Sum(); got != threads+2 {
		t.Errorf("%d threads with one scan more on two nodes, want %d", got, threads+2)
	}
	f.Engines[1].MaxScans--
	if got := n.Programs.Sum(); got != 7+1 {
		t.Errorf("%d programs, want 8", got)
	}
	const k, m = 1 << 10, 1 << 20
	heap := int64(ownMemory + 8*m + 32*m + 1000*8*k + 4096*2*k + 64*128*k + 936*16*k + 32*m + 3*(16*m+256*k) + 10*256*k + 7*(256*k+256*k))
	if got, want := n.Memory.Sum(), heap+2*256*m; got != want {
		t.Errorf("%d bytes, want %d", got, want)
	}
	if n.Garbage != heap || n.MemoryAtMost() != 2*heap+512*m {
		t.Errorf("%d bytes of garbage, want %d", n.Garbage, heap)
	}
}

// TestNeedsOfDisk has the spool on a disk: only the part on the heap counts.
func TestNeedsOfDisk(t *testing.T) {
	f := parse(t, limits+"[spool]\nstore = \"tmpfile\"\ndirectory = \"/proc/polyclam\"\n") // no tmpfs
	f.FitSpool(machine.None)
	const m = 1 << 20
	got := Of(f).Memory.Sum()
	f = parse(t, limits)
	f.FitSpool(machine.None)
	spool := f.Spool()
	if want := Of(f).Memory.Sum() - 256*m - spool.Segments(); got != want { // on a disk, streams do not stay in memory
		t.Errorf("%d bytes, want %d", got, want)
	}
}

// TestNeedsOfTLS compares listeners that differ in TLS and client certificates.
func TestNeedsOfTLS(t *testing.T) {
	const k = 1 << 10
	plain := parse(t, limits)
	if got := handshakes(plain); got != nil {
		t.Errorf("without TLS: %v", got)
	}
	listener := "[[listener]]\naddress = \"tcp:127.0.0.1:1\"\n"
	keys := "tls = true\ncertificate = \"/c\"\nkey = \"/k\"\n"
	before := Of(plain)
	for _, tt := range []struct {
		name, text string
		memory     int64
	}{
		{"PROXY header", "proxy_protocol = [\"10.0.0.1\"]\n", 100 * 128 * k},
		{"TLS", keys, 100*128*k + 1000*72*k},
		{"client certificates", keys + "client_ca = \"/a\"\n", 100*(128+256)*k + 1000*72*k},
	} {
		n := Of(parse(t, limits+"handshakes = 100\n"+listener+tt.text))
		if got := n.Memory.Sum() - before.Memory.Sum(); got != tt.memory {
			t.Errorf("%s: %d bytes, want %d", tt.name, got, tt.memory)
		}
		if got := n.Descriptors.Sum() - before.Descriptors.Sum(); got != 100+listenerDescriptors {
			t.Errorf("%s: %d descriptors, want %d", tt.name, got, 100+listenerDescriptors)
		}
	}
}

func TestPrint(t *testing.T) {
	f := parse(t, clamd+sweep+limits)
	f.FitSpool(machine.None)
	n := Of(f)
	var out strings.Builder
	if err := n.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"needs at most 6936 descriptors, ", "\n  descriptors  64 ", "2 x limits.connections\n", "max_scans x nodes of clamav\n",
		"\n  programs ", "limits.spool_total\n", "garbage, less where memory is short\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("printed is\n%s\nwant in it %q", out.String(), want)
		}
	}
}

func TestFitDescriptors(t *testing.T) {
	const own = ownDescriptors + spool.MaxKept + 2 + 2*3 + 64 + lateDescriptors
	for _, test := range []struct {
		name        string
		limit       uint64
		connections int
		want        int
	}{
		{"enough", own + 2000 + 62 + walks, 1000, 1000},
		{"one too few", own + 2000 + 61 + walks, 1000, 999},
		{"half", own + 1000 + 31 + walks, 1000, 500},
		{"hardly any", own, 1000, 2},
		{"less than our own", 20, 1000, 2},
		{"unlimited", 1<<64 - 1, 1_000_000, 1_000_000},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := parse(t, "")
			f.Limits.Connections, f.Limits.Waiting = test.connections, 0
			changes := FitDescriptors(f, test.limit)
			if f.Limits.Connections != test.want {
				t.Errorf("%d connections, want %d", f.Limits.Connections, test.want)
			}
			if lowered := test.want < test.connections; lowered != (len(changes) == 1) {
				t.Errorf("changes: %+v", changes)
			}
		})
	}
}

// TestFitLowersWaiting checks that each limit that is lowered is reported.
func TestFitLowersWaiting(t *testing.T) {
	f := parse(t, "")
	f.Limits.Connections, f.Limits.Waiting = 1000, 4096
	var keys []string
	for _, c := range FitDescriptors(f, uint64(descriptors(f).Sum())/4) {
		keys = append(keys, c.Key)
		if c.Now >= c.Before || c.Hint == "" {
			t.Errorf("%+v", c)
		}
	}
	if want := []string{"limits.waiting", "limits.connections"}; !slices.Equal(keys, want) || f.Limits.Waiting >= 4096 {
		t.Errorf("lowered: %v, want %v; waiting is %d", keys, want, f.Limits.Waiting)
	}
}

func TestFitMemory(t *testing.T) {
	const m = 1 << 20
	for _, test := range []struct {
		name               string
		limit              machine.Limit
		scans, connections int
		fits               bool
	}{
		{"enough", machine.Limit{N: 8 << 30, From: "x", Hard: true}, 10, 20000, true},
		{"not hard", machine.Limit{N: 128 * m, From: "x"}, 10, 20000, false},
		{"1 GiB", machine.Limit{N: 1 << 30, From: "x", Hard: true}, 3, 7840, true},
		{"256 MiB", machine.Limit{N: 256 * m, From: "x", Hard: true}, 1, 309, true},
		{"64 MiB", machine.Limit{N: 64 * m, From: "x", Hard: true}, 1, fewestConnections, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, err := config.Parse("test", []byte("[[listener]]\naddress = \"unix:/run/s\"\n[[engine]]\nname = \"inspect\"\nbackend = \"inspect\"\n"))
			if err != nil {
				t.Fatal(err)
			}
			f.FitSpool(test.limit)
			changes, fits := FitMemory(f, test.limit)
			if fits != test.fits || f.Engines[0].MaxScans != test.scans || f.Limits.Connections != test.connections {
				t.Errorf("%d scans, %d connections, fits %v; want %d, %d, %v", f.Engines[0].MaxScans, f.Limits.Connections, fits, test.scans, test.connections, test.fits)
			}
			if fits != (memory(f).Sum() <= test.limit.N) {
				t.Errorf("%d bytes are needed of %d", memory(f).Sum(), test.limit.N)
			}
			for _, c := range changes {
				if c.Now >= c.Before || c.Hint == "" {
					t.Errorf("%+v", c)
				}
			}
		})
	}
}

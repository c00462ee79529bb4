package pagetest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/protocol/extended"
	"polyclam/proxy"
	"polyclam/proxy/cache"
	"polyclam/proxy/engine"
	"polyclam/proxy/files"
	"polyclam/proxy/record"
	"polyclam/proxy/spool"
)

// Now is the time of a scene before it advances.
var Now = time.Date(2026, 11, 23, 13, 5, 0, 0, time.UTC)

// Host is the name of the made-up host.
const Host = "mx1.example.org"

// Scenes are all scenes by name.
var Scenes = map[string]func() *Scene{
	"healthy": Healthy, "degraded": Degraded, "failing": Failing, "hostile": Hostile, "empty": Empty,
}

// Healthy has five good nodes of four engines, one of which is observed.
func Healthy() *Scene {
	s := &Scene{random: rand.New(rand.NewPCG(1, 2)), busy: []load{
		{engine: 0, node: 0, scans: 40, typical: 12 * time.Millisecond},
		{engine: 0, node: 1, scans: 25, typical: 14 * time.Millisecond},
		{engine: 1, node: 0, scans: 60, typical: 35 * time.Millisecond, failures: 0.0004},
		{engine: 3, node: 0, scans: 60, typical: 1500 * time.Microsecond},
		{engine: 2, node: 0, scans: 30, typical: 80 * time.Millisecond},
	}}
	start := Now.Add(-76 * time.Hour)
	s.snap = proxy.Snapshot{
		Time: Now, Started: start, Configured: start, Ready: proxy.Readiness{Ready: true, FreeSlots: 9, Slots: 12},
		Server: extended.Server{
			Version: "1.0.0", Uptime: int64(76 * time.Hour / time.Second), Connections: 14, Scans: 5, Requests: 1204511, SpoolUsed: 11 << 20, SpoolTotal: 512 << 20,
			About:    extended.About{Config: "/etc/polyclam/config.toml", User: "polyclam", MemoryNeeded: 900 << 20, MemoryLimit: 2 << 30},
			Refusals: extended.Refusals{ConnectionsRefused: 2, CommandsRefused: 31, NotScannedGone: 118, NotScannedLimit: 7},
		},
		Connections: proxy.Connections{Served: 14, Waiting: 0, Limit: 256, WaitingLimit: 512},
		Spool:       spool.Stats{Used: 11 << 20, Total: 512 << 20, Objects: 5},
		Files:       files.Stats{Limit: 64, Busy: 1},
		Hashing:     files.Stats{Limit: 4},
		Process: proxy.Process{
			Goroutines: 71, Threads: 17, Descriptors: 58, DescriptorLimit: 65536, Memory: 148 << 20, GoMemory: 96 << 20, GoMemoryLimit: 1536 << 20,
		},
		Scans: verdicts(),
		Engines: []engine.Status{
			{Name: "clamav", Kind: "clamd", Required: true, Slots: 24, Counters: engine.Counters{Scans: 1190311, Replays: 4, Hedges: 212, HedgesWon: 87}, Nodes: []engine.NodeStatus{
				node("unix:/run/clamav/clamd.ctl", "ClamAV 1.4.6/27500", 9*time.Hour, 741002, "Eicar-Test-Signature"),
				node("tcp:10.0.0.2:3310", "ClamAV 1.4.6/27500", 9*time.Hour, 449309, "Eicar-Test-Signature"),
			}},
			{Name: "sophos", Kind: "sssp", Required: true, Slots: 12, Waiting: 1, Counters: engine.Counters{Scans: 1190308, Failures: 12}, Nodes: []engine.NodeStatus{
				node("unix:/run/savdi/sssp.sock", "3.92.0/6.12", 2*time.Hour, 1190308, "EICAR-AV-Test"),
			}},
			{Name: "avira", Kind: "savapi", Mode: engine.Observe, Slots: 4, Counters: engine.Counters{Scans: 8120}, Nodes: []engine.NodeStatus{
				node("tcp:10.0.0.7:4444", "8.3.70.214/8.20.66.18", 5*time.Hour, 8120, "Eicar-Test-Signature"),
			}},
			{Name: "inspect", Kind: "inspect", Slots: 8, Counters: engine.Counters{Scans: 1190311}, Nodes: []engine.NodeStatus{
				node("", "", 0, 1190311, "EICAR-Test-File"),
			}},
		},
	}
	s.snap.Engines[0].Nodes[0].InFlight, s.snap.Engines[0].Nodes[1].InFlight, s.snap.Engines[1].Nodes[0].InFlight = 2, 1, 3
	s.snap.Engines[0].Nodes[1].Name = "dns:clamd.example.org:3310"
	s.snap.Engines[0].Names = []engine.NameStatus{{Address: "dns:clamd.example.org:3310", Nodes: 1, Answered: Now.Add(59*time.Minute + 52*time.Second), Next: Now.Add(time.Hour + 7*time.Second), Failures: 2}}
	s.snap.Cache = cache.Stats{
		Memory:  cache.MemoryStats{Limit: 32 << 20, Bytes: 21 << 20, Entries: 61804, Hits: 391207, Misses: 1799412, Added: 612204, Evicted: 0},
		Shared:  &cache.SharedStats{Address: "tcp:redis.example.org:6379", State: "up", Hits: 98114, Misses: 1701298, Added: 598120, Late: 31, Failed: 2},
		Pending: cache.PendingStats{Waiting: 17, Confirmed: 612204, Dropped: 44},
	}
	s.snap.Engines[0].Cache = engine.CacheCounters{Memory: 201188, Shared: 51002, Joined: 812, Misses: 1190311}
	s.snap.Engines[1].Cache = engine.CacheCounters{Memory: 190019, Shared: 47112, Joined: 790, Misses: 1190308, NotCacheable: 12}
	s.snap.Engines[3].Cache = engine.CacheCounters{NotCacheable: 1190311}
	s.snap.Engines[2].Observed = engine.ObservedCounters{Same: 8109, Differ: 11}
	s.scans = scans(Now)
	return s
}

func node(address, version string, age time.Duration, done uint64, eicar string) engine.NodeStatus {
	n := engine.NodeStatus{Address: address, State: "up", Version: version, Canary: canary(Now.Add(55*time.Minute+20*time.Second), eicar)}
	if age > 0 {
		n.DatabaseTime = Now.Add(time.Hour - age)
	}
	n.Counters.Scans = done
	for i, category := range []backends.Category{backends.Virus, backends.Suspicious, backends.Encrypted} {
		part := done / []uint64{250, 333, 83}[i]
		n.Counters.Results[index(category)] = part
		done -= part
	}
	n.Counters.Results[index(backends.OK)] = done
	return n
}

func verdicts() []proxy.ScanCount {
	const listener = "unix:/run/polyclam/clamd.sock"
	return []proxy.ScanCount{
		{Listener: listener, Command: "INSTREAM", Category: backends.OK, Action: "ok", Count: 1165400},
		{Listener: listener, Command: "INSTREAM", Category: backends.Virus, Action: "quarantine", Count: 4810},
		{Listener: listener, Command: "INSTREAM", Category: backends.Suspicious, Action: "quarantine", Count: 3602},
		{Listener: listener, Command: "INSTREAM", Category: backends.Encrypted, Action: "ok", Count: 14288},
		{Listener: listener, Command: "INSTREAM", Category: backends.Partial, Action: "ok", Count: 4730},
		{Listener: listener, Command: "INSTREAM", Category: backends.Interrupted, Action: "tempfail", Count: 11},
	}
}

// scans returns records of scans that were not ok.
func scans(now time.Time) (list []*record.Scan) {
	const listener = "unix:/run/polyclam/clamd.sock"
	kinds := []record.Scan{
		{Client: "uid 108 (defang)", Category: backends.Virus, Action: "quarantine", Engine: "clamav", Names: []string{"Win.Trojan.Emotet-9951800-0"}, Object: "/var/spool/MIMEDefang/mdefang-4XaB/Work/msg-2211-3.zip",
			Engines: []record.Engine{{Engine: "sophos", Category: backends.OK}, {Engine: "clamav", Category: backends.Virus, Cached: "shared", CachedAge: 7 * time.Minute}}},
		{Client: "10.0.0.31", Category: backends.Suspicious, Action: "quarantine", Engine: "sophos", Names: []string{"Mal/DrodZp-A"}, Object: "stream"},
		{Client: "uid 108 (defang)", Category: backends.Interrupted, Action: "tempfail", Engine: "sophos", Reason: "sophos did not answer within 30s", Object: "stream"},
		{Client: "10.0.0.32", NotScanned: "the stream is larger than limits.stream", Object: "stream"},
		{Client: "uid 33 (www-data)", Category: backends.Virus, Action: "quarantine", Engine: "inspect", Names: []string{"EICAR-Test-File", "Eicar-Test-Signature"}, Object: "/var/www/nextcloud/data/appdata_oc5/uploads/anna/Invoices 2026 (copy).pdf"},
	}
	for i := range 14 {
		s := kinds[(i*3+i/4)%len(kinds)]
		s.ID, s.Time, s.Listener, s.Command = fmt.Sprintf("d4k2%02dv2l3pb1a0e7u%dg", 37-i, i%10), now.Add(time.Hour-time.Duration(i*i)*47*time.Second-12*time.Second), listener, "INSTREAM"
		if strings.Contains(s.Client, "defang") {
			s.Tag = fmt.Sprintf("4XaB%02dk3zQ", 90-i)
		}
		list = append(list, &s)
	}
	return list
}

// Degraded has a node that is down, old signatures, an optional engine that is blind, and a
// reload that was refused.
func Degraded() *Scene {
	s := Healthy()
	down := &s.snap.Engines[0].Nodes[1]
	down.State, down.Reason = "down", "clamd tcp:10.0.0.2:3310: cannot connect: connection refused. Is the engine running, and does its configuration have this address?"
	down.Canary = engine.Canary{Time: Now.Add(59 * time.Minute), Error: down.Reason}
	s.busy[1].scans, s.busy[1].failures = 2, 1
	sophos := &s.snap.Engines[1].Nodes[0]
	sophos.DatabaseTime, sophos.Stale = Now.Add(-9*24*time.Hour), true
	sophos.Limit = 6
	s.busy[2].failures = 0.02
	blind := &s.snap.Engines[3].Nodes[0]
	blind.State, blind.Reason, blind.Canary.EICAR = "down", "it does not find the EICAR test file: ok", backends.OK
	s.busy = s.busy[:3]
	s.snap.Engines[2].Mode, s.snap.Engines[2].ConfiguredMode = engine.Off, engine.On
	s.snap.Engines[0].Nodes[0].HeuristicsFirst = true
	s.snap.Cache.Shared.State, s.snap.Cache.Shared.Reason, s.snap.Cache.Shared.Skipped = "down", "cannot connect: connection refused", 40211
	s.snap.Cache.Shared.Hint = "look whether the server runs at this address"
	name := &s.snap.Engines[0].Names[0]
	name.Answered, name.Failures, name.Reason = Now.Add(48*time.Minute), 73, "no name server answers (10.0.0.53:53: no answer in time)"
	s.snap.Cache.Shared.Forged, s.snap.Cache.Shared.Dropped = 3, 1209
	s.snap.Server.ConfigRefused, s.snap.Server.ConfigProblem = Now.Add(20*time.Minute), `/etc/polyclam/config.toml:41: [[engine]] "sophos": timeout "0s" must be positive, for example "30s"`
	return s
}

// Failing has a required engine that is down, and a full spool.
func Failing() *Scene {
	s := Healthy()
	n := &s.snap.Engines[1].Nodes[0]
	n.State, n.Reason = "down", "sssp unix:/run/savdi/sssp.sock: cannot connect: the socket does not exist. Is the engine running? Start it with systemctl start savdid, or remove it from the configuration"
	n.Canary = engine.Canary{Time: Now.Add(59 * time.Minute), Error: n.Reason}
	n.InFlight = 0
	s.busy[2].failures = 1
	s.snap.Engines[1].Waiting = 0
	s.snap.Ready = proxy.Readiness{Draining: true, Reasons: []string{"sophos (required) has no usable node", "the spool is full"}, Slots: 12}
	s.snap.Spool.Used, s.snap.Spool.Waiting = 508<<20, 9
	s.snap.Connections.Served, s.snap.Connections.Waiting = 220, 31
	s.snap.Server.NotScannedSpool, s.snap.LogLinesLost = 41, 1830
	s.snap.Files.Busy, s.snap.Files.WrittenOff = 12, 4
	return s
}

// Nasty are texts that must do no harm on a page.
var Nasty = []string{
	`</script><script>document.title="owned"</script>`,
	`"><img src=x onerror="document.title='owned'">`,
	`'; document.title='owned'; '`,
	"{{.}} ${document.title='owned'} <!-- ]]> -->",
	"invoice\u202egpj.exe",
	"\x1b[2J\x1b]0;owned\x07red",
	"nul\x00nul",
	"\xff\xfe\xc0\x80 invalid",
	"line\r\nbreak\u2028\u2029",
	strings.Repeat("A long name without any space ", 1) + strings.Repeat("x", 4096),
	"</style><style>*{display:none}</style>",
	`javascript:document.title='owned'`,
}

// Hostile has foreign texts that try to break the page, wherever there is a foreign text.
func Hostile() *Scene {
	s := Degraded()
	at := 0
	next := func() string { at++; return Nasty[at%len(Nasty)] }
	s.snap.Server.Version, s.snap.Server.ConfigProblem = next(), next()
	s.snap.Ready = proxy.Readiness{Reasons: []string{next(), next()}}
	for i := range s.snap.Engines {
		e := &s.snap.Engines[i]
		e.Kind = next()
		if i > 0 {
			e.Name = next()
		}
		for j := range e.Nodes {
			n := &e.Nodes[j]
			n.Address, n.Version, n.Canary.Name, n.Canary.Error = next(), next(), next(), next()
			n.Canary.Encrypted = backends.Category(next())
			if j > 0 || i == 1 {
				n.State, n.Reason = next(), next()
			}
		}
	}
	s.snap.Engines[0].Names[0].Reason, s.snap.Engines[0].Names[0].Answered = next(), time.Time{}
	s.snap.Engines[0].Nodes[1].Name, s.snap.Engines[0].Names[0].Address = Nasty[0], Nasty[0]
	shared := s.snap.Cache.Shared
	shared.Address, shared.State, shared.Reason, shared.Hint = next(), next(), next(), next()
	s.snap.Scans = append(s.snap.Scans, proxy.ScanCount{Listener: next(), Category: backends.Category(next()), Count: 3})
	s.scans = nil
	for i := range Nasty {
		s.scans = append(s.scans, &record.Scan{
			ID: next(), Tag: next(), Time: Now.Add(-time.Duration(i) * 9 * time.Hour), Client: next(), Listener: next(), Command: next(), Object: Nasty[i],
			Category: backends.Category(next()), Action: next(), Engine: Nasty[i], Names: []string{next(), next()},
			Engines: []record.Engine{{Engine: Nasty[i], Cached: next(), CachedAge: time.Hour}},
		})
		at++
	}
	return s
}

// Empty is a server that has just started.
func Empty() *Scene {
	s := Healthy()
	s.busy, s.scans, s.snap.Scans = nil, nil, nil
	s.snap.Started = Now
	s.snap.Server.Refusals = extended.Refusals{}
	s.snap.Cache = cache.Stats{}
	for i := range s.snap.Engines {
		e := &s.snap.Engines[i]
		e.Counters, e.Waiting, e.Cache = engine.Counters{}, 0, engine.CacheCounters{}
		for j := range e.Nodes {
			e.Nodes[j] = engine.NodeStatus{Address: e.Nodes[j].Address, State: "unknown"}
		}
	}
	return s
}

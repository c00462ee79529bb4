package page

import (
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/proxy"
	"polyclam/proxy/engine"
)

// minute0 is when a minute begins.
var minute0 = time.Unix(1_800_000_000/60*60, 0)

// counted is a snapshot with these counts at one node and of verdicts.
func snapshotAt(at time.Time, viruses, fast, failures uint64) *proxy.Snapshot {
	s := &proxy.Snapshot{Time: at}
	if viruses > 0 {
		s.Scans = []proxy.ScanCount{{Listener: "l", Category: backends.Virus, Count: viruses}}
	}
	n := engine.NodeStatus{Address: "a"}
	n.Counters.Times[1].Counts[0], n.Counters.Failures = fast, failures
	s.Engines = []engine.Status{{Name: "e", Nodes: []engine.NodeStatus{n}}}
	return s
}

// viruses are the viruses of the last hour, the oldest minute first, without those before
// the first one.
func (h *history) viruses() (list []uint64) {
	all, _ := h.hour()
	for _, v := range all {
		if n := v.Of(backends.Virus); n > 0 || list != nil {
			list = append(list, n)
		}
	}
	return list
}

func TestHistory(t *testing.T) {
	type sample struct {
		after                   time.Duration // of minute0
		viruses, fast, failures uint64
	}
	for _, tt := range []struct {
		name     string
		samples  []sample
		viruses  []uint64 // of each minute from the first one with any
		answers  uint32   // of the node
		failures uint32
	}{
		{"the first sample counts nothing", []sample{{0, 7, 9, 3}}, nil, 0, 0},
		{"a minute", []sample{{0, 7, 9, 3}, {15 * time.Second, 8, 10, 3}, {30 * time.Second, 10, 12, 4}}, []uint64{3}, 3, 1},
		{"minutes", []sample{{0, 1, 1, 0}, {15 * time.Second, 2, 2, 0}, {75 * time.Second, 4, 5, 0}, {135 * time.Second, 4, 5, 0}}, []uint64{1, 2, 0}, 4, 0},
		{"the first of its kind", []sample{{0, 0, 0, 0}, {time.Second, 1, 1, 1}}, []uint64{1}, 1, 1},
		{"a reset", []sample{{0, 7, 9, 3}, {time.Second, 2, 3, 1}}, []uint64{2}, 3, 1},
		{"a gap of two minutes", []sample{{0, 1, 0, 0}, {time.Second, 2, 0, 0}, {150 * time.Second, 5, 0, 0}}, []uint64{1, 0, 3}, 0, 0},
		{"a gap of an hour", []sample{{0, 1, 0, 0}, {time.Second, 2, 9, 0}, {time.Hour + time.Minute, 5, 9, 0}}, []uint64{3}, 0, 0},
		{"a gap of a day", []sample{{0, 1, 0, 0}, {time.Second, 2, 9, 9}, {24 * time.Hour, 2, 9, 9}}, nil, 0, 0},
		{"the clock is set back a little", []sample{{0, 1, 0, 0}, {70 * time.Second, 2, 0, 0}, {50 * time.Second, 4, 0, 0}}, []uint64{3}, 0, 0},
		{"the clock is set back", []sample{{time.Hour, 1, 0, 0}, {time.Hour + time.Second, 2, 5, 0}, {0, 4, 6, 0}, {time.Second, 5, 8, 0}}, []uint64{1}, 2, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var h history
			for _, s := range tt.samples {
				h.add(snapshotAt(minute0.Add(s.after), s.viruses, s.fast, s.failures))
			}
			got := h.viruses()
			if len(got) != len(tt.viruses) {
				t.Fatalf("viruses by minute: %v, want %v", got, tt.viruses)
			}
			for i, n := range tt.viruses {
				if got[i] != n {
					t.Errorf("viruses by minute: %v, want %v", got, tt.viruses)
				}
			}
			list, ok := h.node("e", "a")
			var answers, failures uint32
			for _, m := range list {
				answers += m.times[0]
				failures += m.failures
			}
			if !ok || answers != tt.answers || failures != tt.failures {
				t.Errorf("%d answers, %d failures, %v; want %d and %d", answers, failures, ok, tt.answers, tt.failures)
			}
		})
	}
}

// TestHistoryEnds checks that minutes leave after an hour.
func TestHistoryEnds(t *testing.T) {
	var h history
	h.add(snapshotAt(minute0, 1, 0, 0))
	h.add(snapshotAt(minute0.Add(time.Second), 6, 0, 0))
	for i := range 59 {
		h.add(snapshotAt(minute0.Add(time.Duration(i+1)*time.Minute), 6, 0, 0))
	}
	if got := h.viruses(); len(got) != minutes || got[0] != 5 {
		t.Errorf("after 59 minutes: %v", got)
	}
	h.add(snapshotAt(minute0.Add(time.Hour), 6, 0, 0))
	if got := h.viruses(); got != nil {
		t.Errorf("after an hour: %v", got)
	}
}

// TestHistoryIsBounded has ever new nodes, and too many at a time.
func TestHistoryIsBounded(t *testing.T) {
	var h history
	for round := range 3 {
		s := &proxy.Snapshot{Time: minute0.Add(time.Duration(round) * time.Second)}
		e := engine.Status{Name: "e"}
		for i := range maxNodes + 50 {
			e.Nodes = append(e.Nodes, engine.NodeStatus{Address: string(rune(1 + round*1000 + i))})
		}
		s.Engines = []engine.Status{e}
		h.add(s)
		if len(h.nodes) > maxNodes || len(h.scans) != 0 {
			t.Fatalf("%d nodes", len(h.nodes))
		}
	}
	h.add(&proxy.Snapshot{Time: minute0.Add(time.Minute)})
	if len(h.nodes) != 0 {
		t.Errorf("%d nodes are left of engines that were removed", len(h.nodes))
	}
}

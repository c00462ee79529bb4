package metrics

import (
	"polyclam/backends"
	"polyclam/proxy/count"
	"polyclam/proxy/engine"
)

// engineFamilies are about engines as a whole.
var engineFamilies = []family{
	{"polyclam_engine_required", gauge, "Whether failures of the engine count in every verdict.", []string{"engine"},
		eachEngine(func(e engineState, w *writer) { w.flag(e.Required, e.label) }), nil},
	{"polyclam_engine_mode", gauge, "1 for the mode of the engine, 0 for the others.", []string{"engine", "mode"},
		eachEngine(func(e engineState, w *writer) {
			for _, m := range engine.Modes() {
				w.flag(m == e.Mode, e.label, string(m))
			}
		}), nil},
	{"polyclam_engine_observed_total", counter, "Objects for an engine in mode observe: whether its result would have changed the verdict or the action (same, differ), or it did not get the object (skipped).", []string{"engine", "outcome"},
		eachEngine(func(e engineState, w *writer) {
			w.put(float64(e.Observed.Same), e.label, "same")
			w.put(float64(e.Observed.Differ), e.label, "differ")
			w.put(float64(e.Observed.Skipped), e.label, "skipped")
		}), nil},
	{"polyclam_engine_waiting", gauge, "Scans that wait for a slot at any node of the engine.", []string{"engine"},
		eachEngine(func(e engineState, w *writer) { w.put(float64(e.Waiting), e.label) }), nil},
	{"polyclam_engine_withheld_objects", gauge, "Objects that the engine does not get for a while because it died or hung on them.", []string{"engine"},
		eachEngine(func(e engineState, w *writer) { w.put(float64(e.Withheld), e.label) }), nil},
	{"polyclam_engine_scans_total", counter, "Scans that the engine was asked for, whatever became of them.", []string{"engine"},
		eachEngine(func(e engineState, w *writer) { w.put(float64(e.Counters.Scans), e.label) }), nil},
	{"polyclam_engine_not_asked_total", counter, "Scans that no node of the engine received, by the category that counts instead: no node was usable or had a slot in time, or the object is too large.", []string{"engine", "category"},
		eachEngine(func(e engineState, w *writer) { w.categories(e.Unasked, nil, e.label) }), nil},
	{"polyclam_engine_replays_total", counter, "Scans that were sent to another node after one failed.", []string{"engine"},
		eachEngine(func(e engineState, w *writer) { w.put(float64(e.Counters.Replays), e.label) }), nil},
	{"polyclam_engine_hedges_total", counter, "Scans that were sent to a second node because the first was slow.", []string{"engine"},
		eachEngine(func(e engineState, w *writer) { w.put(float64(e.Counters.Hedges), e.label) }), nil},
	{"polyclam_engine_hedges_won_total", counter, "Of the scans that two nodes had, those that the second node answered first.", []string{"engine"},
		eachEngine(func(e engineState, w *writer) { w.put(float64(e.Counters.HedgesWon), e.label) }), nil},
}

// nodeFamilies are about the nodes of engines. The node of an engine without an address is
// empty.
var nodeFamilies = []family{
	{"polyclam_engine_slots", gauge, "Scans that the node gets at a time. Fewer than max_scans while the engine is overloaded.", []string{"engine", "node"},
		eachNode(func(n nodeState, w *writer) { w.put(float64(n.slots), n.engine, n.label) }), nil},
	{"polyclam_engine_in_flight", gauge, "Slots of the node that are taken, also by health checks and scans that hang.", []string{"engine", "node"},
		eachNode(func(n nodeState, w *writer) { w.put(float64(n.InFlight), n.engine, n.label) }), nil},
	{"polyclam_engine_results_total", counter, "Answers of the node by category, and scans that failed. Neither health checks nor cancelled scans.", []string{"engine", "node", "category"},
		eachNode(func(n nodeState, w *writer) { w.categories(n.Counters.Results, nil, n.engine, n.label) }), nil},
	{"polyclam_engine_failures_total", counter, "Failures of scans by the node, by kind, also those that came with a finding.", []string{"engine", "node", "kind"},
		eachNode(func(n nodeState, w *writer) {
			w.categories(n.Counters.Kinds, backends.Category.IsFailure, n.engine, n.label)
		}), nil},
	{"polyclam_engine_cancelled_total", counter, "Scans by the node that were cancelled: the client had gone, another node was faster, or the verdict was settled.", []string{"engine", "node"},
		eachNode(func(n nodeState, w *writer) { w.put(float64(n.Counters.Cancelled), n.engine, n.label) }), nil},
	{"polyclam_engine_scan_duration_seconds", histogram, "Time that the node took, by the size of the object, without the wait for a slot.", []string{"engine", "node", "size"},
		eachNode(func(n nodeState, w *writer) { w.times(n.Counters.Times, n.engine, n.label) }), nil},
	{"polyclam_node_usable", gauge, "Whether scans may use the node.", []string{"engine", "node"},
		eachNode(func(n nodeState, w *writer) { w.flag(n.Usable, n.engine, n.label) }), nil},
	{"polyclam_node_state", gauge, "1 for the state of the node, 0 for the others. A blind node does not find EICAR, or finds malware where there is none.", []string{"engine", "node", "state"},
		eachNode(writeNodeState), nil},
	{"polyclam_node_drained", gauge, "Whether an administrator has taken the node out of use.", []string{"engine", "node"},
		eachNode(func(n nodeState, w *writer) { w.flag(n.Drained, n.engine, n.label) }), nil},
	{"polyclam_health_check_timestamp_seconds", gauge, "When the node last answered a health check, in seconds since 1970.", []string{"engine", "node"},
		eachNode(func(n nodeState, w *writer) { w.time(n.Canary.Time, n.engine, n.label) }), nil},
	{"polyclam_health_check_success", gauge, "Whether the last health check got the right answer: clean for a harmless text, a finding for EICAR alone and in a mail, encryption for an encrypted archive. Missing: not asked.", []string{"engine", "node", "check"},
		eachNode(writeHealthCheck), nil},
	{"polyclam_signatures_info", gauge, "The version that the node reports. Always 1.", []string{"engine", "node", "version"},
		eachNode(func(n nodeState, w *writer) {
			if n.Version != "" {
				w.put(1, n.engine, n.label, label(n.Version))
			}
		}), nil},
	{"polyclam_signatures_timestamp_seconds", gauge, "When the signatures of the node were made, in seconds since 1970. Missing: it does not say.", []string{"engine", "node"},
		eachNode(func(n nodeState, w *writer) { w.time(n.DatabaseTime, n.engine, n.label) }), nil},
	{"polyclam_signatures_lag_seconds", gauge, "By how much the signatures of the node are older than the newest of the same engine, if by more than 36 hours, else 0.", []string{"engine", "node"},
		eachNode(func(n nodeState, w *writer) { w.put(n.OlderBy.Seconds(), n.engine, n.label) }), nil},
	{"polyclam_signatures_stale", gauge, "Whether the signatures of the node are older than max_signature_age.", []string{"engine", "node"},
		eachNode(func(n nodeState, w *writer) { w.flag(n.Stale, n.engine, n.label) }), nil},
	{"polyclam_name_nodes", gauge, "The addresses in use of a name that name servers resolve.", []string{"engine", "name"},
		eachName(func(n nameState, w *writer) { w.put(float64(n.Nodes), n.engine, n.label) }), nil},
	{"polyclam_name_unused_addresses", gauge, "The addresses of the name beyond max_nodes.", []string{"engine", "name"},
		eachName(func(n nameState, w *writer) { w.put(float64(n.NotUsed), n.engine, n.label) }), nil},
	{"polyclam_name_answered_timestamp_seconds", gauge, "When the name was last answered, in seconds since 1970. Missing: never.", []string{"engine", "name"},
		eachName(func(n nameState, w *writer) { w.time(n.Answered, n.engine, n.label) }), nil},
	{"polyclam_name_failures_total", counter, "Lookups of the name without a complete answer. The last known addresses stay in use.", []string{"engine", "name"},
		eachName(func(n nameState, w *writer) { w.put(float64(n.Failures), n.engine, n.label) }), nil},
}

// nodeStates are all states of a node.
var nodeStates = []string{"up", "down", "blind", "unknown", "reloading"}

func writeNodeState(n nodeState, w *writer) {
	current := n.State
	if n.Blind {
		current = "blind"
	}
	for _, s := range nodeStates {
		w.flag(s == current, n.engine, n.label, s)
	}
}

func writeHealthCheck(n nodeState, w *writer) {
	found := func(c backends.Category) bool { return c == backends.Virus || c == backends.Suspicious }
	for _, check := range []struct {
		name   string
		answer backends.Category
		good   bool
	}{
		{"clean", n.Canary.Clean, n.Canary.Clean == backends.OK},
		{"eicar", n.Canary.EICAR, found(n.Canary.EICAR)},
		{"mail", n.Canary.Mail, found(n.Canary.Mail)},
		{"encrypted", n.Canary.Encrypted, n.Canary.Encrypted == backends.Encrypted},
	} {
		if check.answer != "" {
			w.flag(check.good, n.engine, n.label, check.name)
		}
	}
}

// categories writes a counter for each category that which, if not nil, selects.
func (w *writer) categories(v count.ByCategory, which func(backends.Category) bool, labels ...string) {
	for c, n := range v.All() {
		if which == nil || which(c) {
			w.put(float64(n), append(labels[:len(labels):len(labels)], string(c))...)
		}
	}
}

package proxy

import (
	"context"
	"strconv"
	"time"

	"polyclam/protocol"
	"polyclam/proxy/engine"
)

// status is the reply to XSTATUS: a SERVER record, a NODE record for every node of
// every engine, END. It is what `polyclam status` shows.
func (r *request) status() []string {
	s := r.s.srv
	st := s.spool.Stats()
	s.mu.Lock()
	connections := s.places.Open()
	s.mu.Unlock()
	server := fields{}
	server.add("version", s.version)
	server.add("uptime", seconds(time.Since(s.started)))
	server.add("connections", strconv.Itoa(connections))
	server.add("scans", strconv.Itoa(len(s.running.list())))
	server.add("requests", strconv.FormatUint(s.requests.Load(), 10))
	server.add("spool_used", strconv.FormatInt(st.Used, 10))
	server.add("spool_total", strconv.FormatInt(st.Total, 10))
	lines := []string{protocol.Record{Object: "status", Fields: server, Word: "SERVER"}.String()}
	ctx, cancel := context.WithTimeout(s.ctx, versionWait)
	defer cancel()
	for _, u := range r.cfg.Engines {
		u.Version(ctx) // so that the status tells a fresh one
		us := u.Status()
		for _, n := range us.Nodes {
			lines = append(lines, protocol.Record{Object: "status", Fields: nodeFields(us, n), Word: "NODE"}.String())
		}
	}
	return append(lines, "END")
}

type fields []protocol.Field

// add adds a field that has a value.
func (f *fields) add(key, value string) {
	if value != "" {
		*f = append(*f, protocol.Field{Key: key, Value: value})
	}
}

func nodeFields(u engine.Status, n engine.NodeStatus) fields {
	var f fields
	f.add("engine", u.Name)
	f.add("backend", u.Kind)
	f.add("required", strconv.FormatBool(u.Required))
	f.add("address", n.Address)
	f.add("state", n.State)
	f.add("reason", n.Reason)
	f.add("in_flight", strconv.Itoa(n.InFlight))
	if n.Limit > 0 {
		f.add("limit", strconv.Itoa(n.Limit))
	}
	f.add("waiting", strconv.Itoa(u.Waiting))
	if u.Withheld > 0 {
		f.add("withheld", strconv.Itoa(u.Withheld))
	}
	f.add("scans", strconv.FormatUint(n.Counters.Scans, 10))
	f.add("failures", strconv.FormatUint(n.Counters.Failures, 10))
	f.add("replays", strconv.FormatUint(n.Counters.Replays, 10))
	f.add("hedges", strconv.FormatUint(u.Counters.Hedges, 10))
	f.add("hedges_won", strconv.FormatUint(u.Counters.HedgesWon, 10))
	f.add("version", n.Version)
	f.add("database_time", stamp(n.DatabaseTime))
	f.add("canary_time", stamp(n.Canary.Time))
	f.add("canary_clean", string(n.Canary.Clean))
	f.add("canary_eicar", string(n.Canary.EICAR))
	f.add("canary_name", n.Canary.Name)
	f.add("canary_encrypted", string(n.Canary.Encrypted))
	f.add("canary_error", n.Canary.Error)
	if n.HeuristicsFirst {
		f.add("heuristics_first", "true")
	}
	if n.Scanned > 0 {
		f.add("scanned", strconv.FormatInt(n.Scanned, 10))
	}
	if n.UnscannedAbove > 0 {
		f.add("unscanned_above", strconv.FormatInt(n.UnscannedAbove, 10))
	}
	return f
}

// stamp is a time in RFC 3339, UTC; empty if unknown.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 0, 64) }

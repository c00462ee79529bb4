package page

import (
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/proxy/ops/human"
	"polyclam/proxy/record"
)

// scansView is the part with the last scans that were not ok.
type scansView struct {
	Caption string
	Rows    []scanRow
}

type scanRow struct {
	Time, Stamp             string
	Category, Action, Class string
	Name, Engine            cut
	Object, Client          cut
	Listener, ID, Tag       cut
	Cached                  string // where the engine's result came from, if it was not asked
}

func newScans(scans []*record.Scan, now time.Time) *scansView {
	v := &scansView{Caption: "The newest first: " + human.Plural(int64(len(scans)), "scan") + ". polyclam why ID shows all about one."}
	for _, s := range scans {
		v.Rows = append(v.Rows, newScan(s, now))
	}
	return v
}

func newScan(s *record.Scan, now time.Time) scanRow {
	r := scanRow{
		Time: clock(s.Time, now), Stamp: s.Time.Format(time.RFC3339),
		Category: shown(string(s.Category), maxName).Text, Action: shown(s.Action, maxName).Text, Class: warn,
		Name: shown(strings.Join(s.Names, ", "), maxName), Engine: shown(s.Engine, maxName),
		Object: shown(s.Object, maxName), Client: shown(s.Client, maxName), Listener: shown(s.Listener, maxName),
		ID: shown(s.ID, maxName), Tag: shown(s.Tag, maxName), Cached: fromCache(s),
	}
	if s.Category == backends.Virus || s.Category == backends.Suspicious {
		r.Class = bad
	}
	if s.NotScanned != "" {
		r.Category, r.Action = "not scanned", ""
	}
	if r.Name.Text == "" {
		r.Name = shown(s.Reason, maxName) // the engine's row has all of it
	}
	if s.NotScanned != "" {
		r.Name = shown(s.NotScanned, maxReason) // this is the only place
	}
	return r
}

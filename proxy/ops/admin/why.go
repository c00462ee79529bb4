package admin

import (
	"net/http"
	"time"

	"polyclam/proxy"
	"polyclam/proxy/printable"
	"polyclam/proxy/record"
)

const (
	maxWhy    = 100 // records in one answer
	maxWhyKey = 256 // bytes of the key
)

// Why is the answer to GET /why?key=KEY. Foreign texts in it are escaped as in the log.
type Why struct {
	Records []*record.Scan `json:"records"` // the newest first
	More    bool           `json:"more"`    // there are older ones with this key
	// Time is now, by the daemon's clock. Started is the start of the daemon: it remembers
	// nothing older. Before SinceOK and SinceNotOK some records were dropped, of objects
	// that were ok and of all others. The zero time means that none was.
	Time       time.Time `json:"time"`
	Started    time.Time `json:"started"`
	SinceOK    time.Time `json:"since_ok"`
	SinceNotOK time.Time `json:"since_not_ok"`
}

// why serves GET /why?key=KEY: the records of recent scans with this id, tag or SHA-256.
func why(s *proxy.Server) http.Handler {
	return whyIn(s.Records(), s.Started())
}

func whyIn(records *record.Ring, started time.Time) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.URL.Query().Get("key")
		if key == "" || len(key) > maxWhyKey {
			writeError(w, badRequest("key must be an id, a queue id or a SHA-256"))
			return
		}
		answer := Why{Records: []*record.Scan{}, Time: time.Now(), Started: started}
		answer.SinceOK, answer.SinceNotOK = records.Since()
		found := records.Find(key, maxWhy+1)
		answer.More = len(found) > maxWhy
		for _, s := range found[:min(len(found), maxWhy)] {
			answer.Records = append(answer.Records, escaped(s))
		}
		writeJSON(w, http.StatusOK, answer)
	})
}

// escaped returns a copy of a record with its foreign texts escaped.
func escaped(s *record.Scan) *record.Scan {
	out := *s
	for _, text := range []*string{&out.Tag, &out.Object, &out.NotScanned, &out.Error, &out.Reason, &out.Reply} {
		*text = escape(*text)
	}
	out.Names = escapeAll(s.Names)
	out.Engines = nil
	for _, e := range s.Engines {
		e.Engine, e.Node, e.Detail, e.Error = escape(e.Engine), escape(e.Node), escape(e.Detail), escape(e.Error)
		e.Cached = escape(e.Cached)
		e.Names = escapeAll(e.Names)
		var ruled []record.Ruled
		for _, r := range e.Ruled {
			ruled = append(ruled, record.Ruled{Name: escape(r.Name), Category: r.Category, Rule: escape(r.Rule)})
		}
		e.Ruled = ruled
		out.Engines = append(out.Engines, e)
	}
	return &out
}

func escapeAll(texts []string) (out []string) {
	for _, t := range texts {
		out = append(out, escape(t))
	}
	return out
}

// escape escapes a text of a record, which is short already.
func escape(text string) string { return printable.Escape(text, len(text)) }

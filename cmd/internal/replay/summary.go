package replay

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"time"
)

// maxReasons bounds the reasons that are counted apart: a log may have any number of
// listeners.
const maxReasons = 100

// A Summary is the comparison of a log with a configuration. docs/operations.md documents
// its JSON.
type Summary struct {
	Judged    int         `json:"judged"` // scans
	Different int         `json:"different"`
	Changes   []Change    `json:"changes"` // the most frequent first
	Scans     []Different `json:"scans"`   // with another verdict; the first ones
	NotJudged []NotJudged `json:"not_judged"`
	Other     int         `json:"other_lines"` // lines that are not scans
	Long      int         `json:"long_lines"`  // lines that are too long to be read
}

// A Change is a kind of difference.
type Change struct {
	From  string `json:"from"` // "category/action"
	To    string `json:"to"`
	Count int    `json:"count"`
}

// Different is a scan whose verdict would differ.
type Different struct {
	ID     string    `json:"id"`
	Tag    string    `json:"tag,omitempty"` // the client's own id
	Time   time.Time `json:"time,omitzero"`
	Object string    `json:"object"`
	From   Verdict   `json:"from"`
	To     Verdict   `json:"to"`
}

// NotJudged counts scans that could not be judged for a reason.
type NotJudged struct {
	Reason string `json:"reason"`
	Count  int    `json:"count"`
}

// Compare judges every scan in a log, and keeps the first limit scans whose verdicts would
// differ. Its memory does not depend on the length of the log. After an error the summary is
// that of the lines before it.
func Compare(r *Reader, j *Judge, limit int) (*Summary, error) {
	c := comparison{changes: map[[2]string]int{}, reasons: map[string]int{}, limit: limit}
	for {
		text, err := r.Next()
		if err == io.EOF {
			err = nil
		} else if err == nil {
			c.add(text, j)
			continue
		}
		s := c.summary()
		s.Long = r.Long
		s.Other = r.Lines() - r.Long - c.scans
		return s, err
	}
}

type comparison struct {
	limit     int
	scans     int // lines that are scans
	judged    int
	different int
	list      []Different
	changes   map[[2]string]int
	reasons   map[string]int
}

func (c *comparison) add(text []byte, j *Judge) {
	scan, err := Parse(text)
	if errors.Is(err, ErrOther) {
		return
	}
	c.scans++
	if err != nil {
		c.notJudged(err)
		return
	}
	to, err := j.Judge(scan)
	if err != nil {
		c.notJudged(err)
		return
	}
	c.judged++
	if to.Category == scan.Verdict.Category && to.Action == scan.Verdict.Action {
		return
	}
	c.different++
	c.changes[[2]string{scan.Verdict.kind(), to.kind()}]++
	if len(c.list) < c.limit {
		c.list = append(c.list, Different{ID: scan.ID, Tag: scan.Tag, Time: scan.Time, Object: scan.Object, From: scan.Verdict, To: to})
	}
}

// notJudged counts a reason. Without room for another one it counts the text alone.
func (c *comparison) notJudged(err error) {
	text := err.Error()
	var why Reason
	if _, counted := c.reasons[text]; !counted && len(c.reasons) >= maxReasons && errors.As(err, &why) {
		text = why.Text
	}
	c.reasons[text]++
}

func (v Verdict) kind() string { return string(v.Category) + "/" + string(v.Action) }

func (c *comparison) summary() *Summary {
	s := &Summary{Judged: c.judged, Different: c.different, Changes: []Change{}, Scans: c.list, NotJudged: []NotJudged{}}
	if s.Scans == nil {
		s.Scans = []Different{}
	}
	for k, n := range c.changes {
		s.Changes = append(s.Changes, Change{k[0], k[1], n})
	}
	slices.SortFunc(s.Changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	for reason, n := range c.reasons {
		s.NotJudged = append(s.NotJudged, NotJudged{reason, n})
	}
	slices.SortFunc(s.NotJudged, func(a, b NotJudged) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason))
	})
	return s
}

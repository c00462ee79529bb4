package record

import (
	"strings"
	"unique"
	"unsafe"

	"polyclam/backends"
)

// Limits on the texts of a record. Longer ones are cut.
const (
	maxObject = 1024
	maxName   = 256
	maxText   = 512 // errors, reasons
	maxOKText = 128 // the same if the action is ok
	maxNames  = 16
)

// compact returns a copy of s that holds no memory of others, and how many bytes it takes.
// A text may be a small part of a large buffer, such as an engine's whole answer.
func compact(s *Scan) (*Scan, int64) {
	c := &copier{text: maxText, cost: int64(unsafe.Sizeof(*s))}
	if s.OK() {
		c.text = maxOKText
	}
	out := *s
	out.ID, out.Tag, out.SHA256 = c.own(s.ID, maxName), c.own(s.Tag, maxName), c.own(s.SHA256, maxName)
	out.Client, out.Object = c.own(s.Client, maxName), c.own(s.Object, maxObject)
	out.Listener, out.Command = c.shared(s.Listener), c.shared(s.Command)
	out.NotScanned, out.Error = c.own(s.NotScanned, maxText), c.own(s.Error, maxText)
	out.Category, out.Action = c.category(s.Category), c.shared(s.Action)
	out.Engine, out.ActionBy = c.shared(s.Engine), c.shared(s.ActionBy)
	out.Reason, out.Reply = c.own(s.Reason, c.text), c.own(s.Reply, c.text)
	out.Names = c.list(s.Names)
	out.Engines = c.engines(s.Engines)
	return &out, c.cost
}

// A copier copies the texts of a record and adds up what they take.
type copier struct {
	text int // limit on errors and reasons
	cost int64
}

// own copies at most limit bytes of s.
func (c *copier) own(s string, limit int) string {
	if s == "" {
		return ""
	}
	if len(s) > limit {
		s = s[:limit] + "..."
	} else {
		s = strings.Clone(s)
	}
	c.cost += sizeClass(len(s))
	return s
}

// shared is own for a text that many records have: they share one copy. Each counts it all
// the same.
func (c *copier) shared(s string) string {
	if s == "" {
		return ""
	}
	s = unique.Make(s[:min(len(s), maxText)]).Value()
	c.cost += sizeClass(len(s))
	return s
}

func (c *copier) category(s backends.Category) backends.Category {
	return backends.Category(c.shared(string(s)))
}

func (c *copier) list(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	out := make([]string, min(len(names), maxNames))
	c.cost += sizeClass(len(out) * int(unsafe.Sizeof("")))
	for i := range out {
		out[i] = c.own(names[i], maxName)
	}
	return out
}

func (c *copier) engines(engines []Engine) []Engine {
	if len(engines) == 0 {
		return nil
	}
	out := make([]Engine, len(engines))
	c.cost += sizeClass(len(out) * int(unsafe.Sizeof(Engine{})))
	for i, e := range engines {
		e.Engine, e.Node = c.shared(e.Engine), c.shared(e.Node)
		e.Category, e.Failure = c.category(e.Category), c.category(e.Failure)
		e.Names, e.Ruled = c.list(e.Names), c.ruled(e.Ruled)
		e.Detail, e.Error = c.own(e.Detail, c.text), c.own(e.Error, c.text)
		e.Cached, e.Reported = c.shared(e.Cached), nil
		out[i] = e
	}
	return out
}

func (c *copier) ruled(ruled []Ruled) []Ruled {
	if len(ruled) == 0 {
		return nil
	}
	out := make([]Ruled, min(len(ruled), maxNames))
	c.cost += sizeClass(len(out) * int(unsafe.Sizeof(Ruled{})))
	for i := range out {
		r := ruled[i]
		out[i] = Ruled{Name: c.own(r.Name, maxName), Category: c.category(r.Category), Rule: c.shared(r.Rule)}
	}
	return out
}

// sizeClass is at least what Go's allocator takes for n bytes: it rounds up by at most an
// eighth, and to 8 bytes.
func sizeClass(n int) int64 { return int64(n+n/8+15) &^ 7 }

package main

import (
	"context"
	"iter"
	"strings"
	"time"

	"polyclam/protocol/extended"
)

// status returns the fields of all records of XSTATUS; none if there is no answer.
func (d *daemon) status(ctx context.Context) iter.Seq[extended.Field] {
	reply, _, _ := d.ask(ctx, "XSTATUS", 10*time.Second)
	return func(yield func(extended.Field) bool) {
		for line := range strings.Lines(reply) {
			r, err := extended.Parse(strings.TrimSpace(line))
			if err != nil {
				continue // END
			}
			for _, f := range r.Fields {
				if !yield(f) {
					return
				}
			}
		}
	}
}

// counters returns the fields of XSTATUS that have the word in their names.
func (d *daemon) counters(ctx context.Context, word string) string {
	var found []string
	for f := range d.status(ctx) {
		if strings.Contains(f.Key, word) {
			found = append(found, f.Key+"="+f.Value)
		}
	}
	return strings.Join(found, " ")
}

package main

import (
	"context"
	"iter"
	"strings"
	"time"

	"polyclam/protocol/extended"
)

// status returns the fields of all XSTATUS records, or none if there is no answer.
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

// counters returns the XSTATUS fields whose names contain the word.
func (d *daemon) counters(ctx context.Context, word string) string {
	var found []string
	for f := range d.status(ctx) {
		if strings.Contains(f.Key, word) {
			found = append(found, f.Key+"="+f.Value)
		}
	}
	return strings.Join(found, " ")
}

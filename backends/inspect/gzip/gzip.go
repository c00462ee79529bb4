// Package gzip looks into what gzip has compressed (RFC 1952).
package gzip

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"

	"polyclam/backends/inspect/internal/walk"
)

// Detector knows gzip.
type Detector struct{}

// Match implements [walk.Detector].
func (Detector) Match(w *walk.Walk, s *walk.Section) bool {
	return bytes.HasPrefix(s.Head, []byte("\x1f\x8b\x08"))
}

// Look implements [walk.Detector].
func (Detector) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	const windowAndTables = 64 << 10
	name := ""
	seen, err := w.Stream(ctx, s, "gzip", windowAndTables, func(packed io.Reader) (io.Reader, error) {
		r, err := gzip.NewReader(packed)
		if err != nil {
			return nil, err
		}
		name = r.Name
		return lenient{r}, nil
	})
	return seen.Within("gzip", name), err
}

// lenient takes something else after the last member for the end, as gzip does.
type lenient struct{ from io.Reader }

func (l lenient) Read(p []byte) (int, error) {
	n, err := l.from.Read(p)
	if err == gzip.ErrHeader {
		err = io.EOF
	}
	return n, err
}

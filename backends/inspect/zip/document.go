package zip

import (
	"context"
	"io"

	"polyclam/backends/inspect/documents"
	"polyclam/backends/inspect/internal/walk"
)

// document inspects the members that show whether a document is encrypted.
func (Detector) document(ctx context.Context, w *walk.Walk, s *walk.Section, d directory) *walk.Sighting {
	for r := d.reader(s); ; {
		e, err := r.next()
		if err != nil || w.Stopped() != nil {
			return nil
		}
		name := string(e.name)
		if !documents.Has(name) {
			continue
		}
		if m, ok := e.locate(w, s, d.base); ok {
			data := m.read(ctx, w, s, documents.MaxManifest+1)
			if seen := documents.Check(name, data); seen != nil {
				return seen
			}
			if len(data) > documents.MaxManifest {
				w.Miss(walk.UnscannedBroken, "zip: the manifest of a document is too large")
			}
		}
	}
}

// read unpacks a member up to limit bytes.
func (m member) read(ctx context.Context, w *walk.Walk, s *walk.Section, limit int64) []byte {
	packed := io.NewSectionReader(s, m.at, m.size)
	var r io.Reader = packed
	switch m.method {
	case methodStored:
	case methodDeflate:
		r = w.Inflater(ctx, packed)
	default:
		return nil // no office program uses other methods
	}
	// A truncated member is inspected as far as it goes.
	data, _ := io.ReadAll(io.LimitReader(r, limit))
	return data
}

package zip

import (
	"context"
	"io"

	"polyclam/backends/inspect/documents"
	"polyclam/backends/inspect/internal/walk"
)

// manifest looks for an OpenDocument's manifest, and what it says.
func (Detector) manifest(ctx context.Context, w *walk.Walk, s *walk.Section, d zipDirectory) *walk.Sighting {
	for r := d.reader(s); ; {
		e, err := r.next()
		if err != nil || w.Stopped() != nil {
			return nil
		}
		if string(e.name) != documents.ODFManifest {
			continue
		}
		m, ok := e.locate(w, s, d.base)
		if !ok {
			return nil
		}
		return documents.Manifest(m.read(ctx, w, s, documents.MaxManifest))
	}
}

// read unpacks a member, up to limit bytes.
func (m zipMember) read(ctx context.Context, w *walk.Walk, s *walk.Section, limit int64) []byte {
	packed := io.NewSectionReader(s, m.at, m.size)
	var r io.Reader = packed
	if m.deflated {
		r = w.Inflater(ctx, packed)
	}
	// What breaks off is good as far as it goes.
	data, _ := io.ReadAll(io.LimitReader(r, limit))
	return data
}

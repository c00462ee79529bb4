package iso

import (
	"bytes"
	"testing"

	"polyclam/backends/inspect/internal/archive/archivetest"
)

// rawImage converts an image to raw sectors.
func rawImage(image []byte, mode byte) []byte {
	var b []byte
	for ; len(image) > 0; image = image[min(len(image), sectorSize):] {
		sector := make([]byte, rawSize)
		copy(sector, sync)
		sector[15] = mode
		data := 16
		if mode == 2 {
			data = 24
		}
		copy(sector[data:data+sectorSize], image)
		b = append(b, sector...)
	}
	return b
}

func TestRawSectors(t *testing.T) {
	image := archivetest.Read(t, "joliet.iso.gz")
	want := archivetest.List(image, Members)
	for _, mode := range []byte{1, 2} {
		data := rawImage(image, mode)
		if !Matches(bytes.NewReader(data)) {
			t.Errorf("mode %d does not match", mode)
		}
		archivetest.Want(t, data, Members, want...)
		archivetest.CheckParser(t, data[:len(data)/2], Members)
	}
	if data := rawImage(image, 3); Matches(bytes.NewReader(data)) {
		t.Error("mode 3 matches")
	}
	if data := rawImage(rawImage(image, 1), 1); Matches(bytes.NewReader(data)) {
		t.Error("raw sectors in raw sectors match")
	}
}

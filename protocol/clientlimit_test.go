package protocol

import (
	"errors"
	"strings"
	"testing"
)

// TestRecordBytes: what a server may make us keep is bounded in bytes, too.
func TestRecordBytes(t *testing.T) {
	g := group{q: &request{object: ObjectStream}, each: func(Reply, []Record) error { return nil }}
	if _, err := g.add("stream: OK"); err != nil {
		t.Fatal(err)
	}
	line := Record{Object: "stream", Fields: []Field{{"msg", strings.Repeat("x", 32<<10)}}, Word: "ENGINE"}.String()
	for range maxRecordBytes/len(line) + 1 {
		if _, err := g.add(line); err != nil {
			if !errors.Is(err, ErrReplyTooLong) {
				t.Errorf("got %v", err)
			}
			return
		}
	}
	t.Error("more than the limit was kept")
}

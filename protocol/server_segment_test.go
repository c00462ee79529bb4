package protocol

import "testing"

// TestLargeSegments takes more large segments than allowed: the rest are small.
func TestLargeSegments(t *testing.T) {
	if n := largeInUse.Load(); n != 0 {
		t.Fatalf("%d large segments are in use before the test", n)
	}
	var taken []*segment
	var bytes int64
	for range mostLarge + 3 {
		s := newSegment(true)
		taken = append(taken, s)
		bytes += int64(len(s.b))
	}
	if want := ReceiveBuffers(mostLarge + 3); bytes != want {
		t.Errorf("%d bytes in use, want %d", bytes, want)
	}
	for _, s := range taken {
		s.free()
	}
	if n := largeInUse.Load(); n != 0 {
		t.Errorf("%d large segments are in use after the test", n)
	}
	if s := newSegment(true); !s.large {
		t.Error("no large segment although none is in use")
	} else {
		s.free()
	}
	if n := ReceiveBuffers(2); n != 2*largeSegment {
		t.Errorf("%d bytes for two connections", n)
	}
}

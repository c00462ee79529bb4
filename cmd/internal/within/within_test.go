package within

import (
	"testing"
	"time"
)

func TestLimit(t *testing.T) {
	if !Limit(time.Minute, func() {}) {
		t.Error("f has returned, but the limit was reported")
	}
	release := make(chan struct{})
	defer close(release)
	if Limit(time.Millisecond, func() { <-release }) {
		t.Error("f has not returned, but that was reported")
	}
}

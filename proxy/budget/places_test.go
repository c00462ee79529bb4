package budget

import (
	"fmt"
	"slices"
	"testing"

	"polyclam/proxy/client"
)

// TestPlaces lets one client take its share of the places and of the queue, and serves
// another client all the same.
func TestPlaces(t *testing.T) {
	var p Places
	limit, queue := Limit{8, 75}, Limit{4, 75}
	hog, other := client.User(1), client.User(2)
	for p.Take(hog, limit) {
	}
	var started []string
	start := func(name string) func() { return func() { started = append(started, name) } }
	for i := range 4 {
		if got, want := p.Wait(hog, queue, start(fmt.Sprint("hog", i))), i < 3; got != want {
			t.Errorf("connection %d waits: %v, want %v", i, got, want)
		}
	}
	if !p.Take(other, limit) || p.Take(other, limit) {
		t.Error("want one of the last two places for another client")
	}
	if !p.Wait(other, queue, start("other")) {
		t.Error("no room in the queue for another client")
	}
	p.Serve(limit)
	p.Reserve()
	if len(started) > 0 || p.Open() != 6+1+3+1+1 || !p.Full(8) || p.Full(9) {
		t.Errorf("started %v; %d connections are open", started, p.Open())
	}
	p.Cancel()
	for range 6 {
		p.Give(hog)
	}
	p.Serve(limit)
	if want := []string{"hog0", "other", "hog1", "hog2"}; !slices.Equal(started, want) {
		t.Errorf("started %v, want %v", started, want)
	}
	served, waiting := p.Sum()
	if s, w := p.Held(hog); s != 3 || w != 0 || served != 5 || waiting != 0 {
		t.Errorf("the hog has %d served and %d waiting, all clients %d and %d", s, w, served, waiting)
	}
}

package proxy

import "testing"

func TestFit(t *testing.T) {
	for _, test := range []struct {
		limits               Limits
		n                    int
		connections, waiting int
	}{
		{Limits{Connections: 20000, SessionScans: 16, DirectoryDepth: 15, Waiting: 4096}, 100000, 20000, 4096},
		{Limits{Connections: 20000, SessionScans: 16, DirectoryDepth: 15, Waiting: 4096}, 43750, 20000, 1250},
		{Limits{Connections: 20000, SessionScans: 16, DirectoryDepth: 15, Waiting: 4096}, 559, 197, 16},
		{Limits{Connections: 10, SessionScans: 16, DirectoryDepth: 15, Waiting: 4096}, 192, 10, 16},
		{Limits{Connections: 20000, SessionScans: 16, DirectoryDepth: 15, Waiting: 0}, 559, 205, 0},
		{Limits{Connections: 20000, SessionScans: 16, DirectoryDepth: 15, Waiting: 4096}, 1, 1, 16},
	} {
		got := test.limits.Fit(test.n)
		if got.Connections != test.connections || got.Waiting != test.waiting {
			t.Errorf("%+v in %d descriptors: %d connections and %d waiting, want %d and %d",
				test.limits, test.n, got.Connections, got.Waiting, test.connections, test.waiting)
		}
		if got.Connections > 1 && got.Descriptors() > test.n {
			t.Errorf("%+v: %d descriptors do not fit in %d", got, got.Descriptors(), test.n)
		}
	}
}

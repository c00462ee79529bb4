package main

import (
	"testing"

	"polyclam/backends/testfile"
	"polyclam/cmd/internal/config"
)

// TestSizeToTry checks that the test object is as large as polyclamd allows, up to a limit.
func TestSizeToTry(t *testing.T) {
	for _, c := range []struct {
		more   string
		want   int64
		beyond bool
	}{
		{"", 100 << 20, false},
		{"max_size = \"100\"", testfile.LargeMin, false},
		{"max_size = \"2147483645\"", 2147483645, false},
		{"max_size = \"2GiB\"", 2147483645, true},
		{"max_size = 0\n[limits]\nstream = \"30MiB\"", 30 << 20, true},
		{"max_size = 0\n[limits]\nstream = 0", 100 << 20, true},
		{"max_size = \"1GiB\"\n[[engine]]\nname = \"b\"\nbackend = \"sssp\"\naddress = \"tcp:127.0.0.1:4020\"", 1 << 30, false},
	} {
		file, err := config.Parse("c.toml", []byte(anyListener+engineTable("a", "unix:/s", c.more)))
		if err != nil {
			t.Fatal(err)
		}
		if got, beyond := sizeToTry(file); got != c.want || beyond != c.beyond {
			t.Errorf("%s: %d, %v, want %d, %v", c.more, got, beyond, c.want, c.beyond)
		}
		file.Engines[0].Backend = "sssp"
		if got, beyond := sizeToTry(file); got != min(c.want, otherMaxSize) || beyond {
			t.Errorf("%s: another engine: %d, %v", c.more, got, beyond)
		}
	}
}

package main

import (
	"math"
	"runtime/debug"
	"strings"
	"testing"

	"polyclam/cmd/internal/config"
	"polyclam/cmd/internal/machine"
)

// TestGoMemoryLimit checks that Go gets the memory that the spool leaves, and that GOMEMLIMIT
// overrides this.
func TestGoMemoryLimit(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	const m = 1 << 20
	for _, test := range []struct {
		name, env, text string
		memory          machine.Limit
		wantText        string
		want            int64
	}{
		{"a group", "", "", machine.Limit{N: 256 * m, From: "x"}, "112 MiB", 112 * m},
		{"hardly any", "", "", machine.Limit{N: 64 * m, From: "x"}, "48 MiB", minGoLimit},
		{"a spool on a disk", "", "[spool]\nstore = \"tmpfile\"\ndirectory = \"/proc/polyclam\"\n", machine.Limit{N: 256 * m, From: "x"}, "240 MiB", 240 * m},
		{"no limit", "", "", machine.None, "none", math.MaxInt64},
		{"the operator's", "1GiB", "", machine.Limit{N: 256 * m, From: "x"}, "1GiB (GOMEMLIMIT)", before},
	} {
		t.Run(test.name, func(t *testing.T) {
			debug.SetMemoryLimit(before)
			t.Setenv("GOMEMLIMIT", test.env)
			file, err := config.Parse("test", []byte("[[engine]]\nname = \"x\"\nbackend = \"inspect\"\n"+test.text))
			if err != nil {
				t.Fatal(err)
			}
			file.FitSpool(test.memory)
			limit, limitText := goMemoryLimit(file, test.memory)
			debug.SetMemoryLimit(limit)
			if !strings.Contains(limitText, test.wantText) {
				t.Errorf("the log has %q, want %q", limitText, test.wantText)
			}
			if got := debug.SetMemoryLimit(-1); got != test.want {
				t.Errorf("Go's limit is %d, want %d", got, test.want)
			}
		})
	}
}

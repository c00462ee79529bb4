// Package machine finds how much memory and how many tasks this process may use: the
// limits of its control group, and what is free on the machine.
package machine

import (
	"bytes"
	"io/fs"
	"math"
	"os"
	"strconv"
	"strings"
)

// A Limit is an upper bound and where it comes from.
type Limit struct {
	N    int64
	From string // "memory.max of /system.slice/polyclamd.service"
	Hard bool   // enforced by the kernel, not just what is free now
}

// None means no limit.
var None = Limit{N: math.MaxInt64}

// unlimited is more than any machine has: cgroup v1 writes a number near the largest one
// for no limit.
const unlimited = 1 << 60

// Memory returns the smallest of the memory limits of the process's control group and its
// ancestors, and of the machine's free memory. Memory that the process already uses
// counts as free: its resident memory, and held bytes elsewhere, such as in memfds.
func Memory(held int64) Limit { return memory(os.DirFS("/"), held) }

func memory(root fs.FS, held int64) Limit {
	least := None
	for _, g := range groups(root, "memory") {
		for _, name := range []string{"memory.max", "memory.high", "memory.limit_in_bytes"} {
			if n, ok := number(root, g.dir+"/"+name); ok {
				least = smaller(least, Limit{n, name + " of " + g.name, true})
			}
		}
		// For ancestors that a container cannot see.
		if n, ok := field(root, g.dir+"/memory.stat", "hierarchical_memory_limit"); ok {
			least = smaller(least, Limit{n, "hierarchical_memory_limit of " + g.name, true})
		}
	}
	if free, ok := field(root, "proc/meminfo", "MemAvailable:"); ok {
		resident, _ := field(root, "proc/self/status", "VmRSS:")
		least = smaller(least, Limit{(free+resident)<<10 + held, "MemAvailable", false})
	}
	return least
}

// Tasks returns the smallest limit on threads and processes among the control groups.
func Tasks() Limit { return tasks(os.DirFS("/")) }

func tasks(root fs.FS) Limit {
	least := None
	for _, g := range groups(root, "pids") {
		if n, ok := number(root, g.dir+"/pids.max"); ok {
			least = smaller(least, Limit{n, "pids.max of " + g.name, true})
		}
	}
	return least
}

func smaller(a, b Limit) Limit {
	if b.N < a.N && b.N < unlimited {
		return b
	}
	return a
}

// number reads a file that holds one number. "max" is not a number.
func number(root fs.FS, name string) (int64, bool) {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64)
	return int64(min(n, math.MaxInt64)), err == nil
}

// field reads the number after a key from a file with one key per line.
func field(root fs.FS, name, key string) (int64, bool) {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != key {
			continue
		}
		n, err := strconv.ParseUint(words[1], 10, 64)
		return int64(min(n, math.MaxInt64)), err == nil
	}
	return 0, false
}

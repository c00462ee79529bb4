package proxy

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Process is what the process of the daemon uses. 0 means that it is not known.
type Process struct {
	Goroutines      int    `json:"goroutines"`
	Threads         int    `json:"threads"`
	Descriptors     int    `json:"descriptors"` // open
	DescriptorLimit uint64 `json:"descriptor_limit"`
	Memory          int64  `json:"memory"`          // bytes in use, as the kernel counts them
	GoMemory        int64  `json:"go_memory"`       // bytes of those that Go's runtime manages
	GoMemoryLimit   int64  `json:"go_memory_limit"` // bytes, see GOMEMLIMIT
}

func readProcess() Process {
	p := Process{Goroutines: runtime.NumGoroutine(), Descriptors: openDescriptors(), GoMemoryLimit: debug.SetMemoryLimit(-1)}
	p.Memory, p.Threads = readStatus()
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	p.GoMemory = int64(samples[0].Value.Uint64() - samples[1].Value.Uint64())
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		p.DescriptorLimit = limit.Cur
	}
	return p
}

// openDescriptors is the number of open descriptors.
func openDescriptors() int {
	const fds = "/proc/self/fd"
	if info, err := os.Stat(fds); err == nil && info.Size() > 0 { // Linux 6.2
		return int(info.Size())
	}
	dir, err := os.Open(fds)
	if err != nil {
		return 0
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	return max(0, len(names)-1) // without dir itself
}

// readStatus returns the memory of the process in bytes, and its threads.
func readStatus() (memory int64, threads int) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		number, _, _ := strings.Cut(strings.TrimSpace(value), " ")
		switch key {
		case "VmRSS":
			kilobytes, _ := strconv.ParseInt(number, 10, 64)
			memory = kilobytes << 10
		case "Threads":
			threads, _ = strconv.Atoi(number)
		}
	}
	return memory, threads
}

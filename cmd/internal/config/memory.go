package config

import (
	"fmt"
	"slices"

	"polyclam/cmd/internal/machine"
	"polyclam/proxy/spool"
)

const (
	// mostSpool is the default of spool_total on a machine with enough memory.
	mostSpool = 2 << 30
	// memoryShare is the part of the memory that the spool gets by default: 1/memoryShare.
	memoryShare = 2
	// heapShare is the part of that which short streams may take of the heap.
	heapShare = 8
)

// FitSpool gives spool_total its default on a machine with so much memory, and warns
// of one in the file that is too large for it. It returns where the value comes from.
func (f *File) FitSpool(memory machine.Limit) (source string) {
	share := memory.N / memoryShare
	switch {
	case f.spoolTotalLine > 0:
		source = "limits.spool_total"
		if f.SpoolInMemory() && (f.spool.Total == 0 || f.spool.Total > share) {
			f.warnSpool(memory)
		}
	case !f.SpoolInMemory():
		source = "the default; " + f.spool.Dir + " is on a disk, so memory does not bound it"
	case share >= mostSpool:
		source = "the default"
	default:
		f.spool.Total = share &^ (1<<20 - 1)
		source = fmt.Sprintf("half of %s, which is %s", roughSize(memory.N), memory.From)
		if f.spool.Total < f.Limits.Stream {
			f.addWarning(1, "limits.stream", "%q is more than the spool has on this machine, %s: streams between them are answered with an error",
				formatSize(f.Limits.Stream), roughSize(f.spool.Total))
		}
	}
	room := min(mostSpool, share)
	if f.spool.Total > 0 {
		room = min(room, f.spool.Total)
	}
	f.spool.InMemory = room / heapShare
	return source
}

func (f *File) warnSpool(memory machine.Limit) {
	total := "no limit"
	if f.spool.Total > 0 {
		total = "\"" + formatSize(f.spool.Total) + "\""
	}
	f.addWarning(f.spoolTotalLine, "limits.spool_total", "%s is more than half of the memory, %s (%s): the kernel may kill the daemon; without the key half is taken",
		total, roughSize(memory.N), memory.From)
}

func (f *File) addWarning(line int, key, format string, args ...any) {
	f.Warnings = append(f.Warnings, Problem{File: f.Name, Line: line, Key: key, Text: fmt.Sprintf(format, args...)})
}

// SpoolInMemory reports whether what is in the spool takes memory.
func (f *File) SpoolInMemory() bool {
	return f.spool.Store != spool.Tmpfile || machine.InMemory(f.spool.Dir)
}

// CopiesInMemory reports whether engines read files with names that are copies of what
// the spool has, and take memory too.
func (f *File) CopiesInMemory() bool {
	readsPaths := slices.ContainsFunc(f.Engines, func(u Engine) bool { return u.readsPaths })
	return readsPaths && f.spool.Store != spool.Tmpfile && machine.InMemory(f.spool.Dir)
}

// roughSize is a size for people, in whole MiB.
func roughSize(n int64) string {
	if n >= 10<<30 {
		return fmt.Sprintf("%d GiB", n>>30)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

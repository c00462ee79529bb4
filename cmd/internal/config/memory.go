package config

import (
	"fmt"
	"slices"

	"polyclam/cmd/internal/machine"
	"polyclam/cmd/internal/size"
	"polyclam/proxy"
	"polyclam/proxy/spool"
)

const (
	// memoryShare: by default the spool gets 1/memoryShare of the memory.
	memoryShare = 2
	// heapShare: short streams get 1/heapShare of that on the heap.
	heapShare = 8
	// recordShare: records of recent scans get at most 1/recordShare of the memory, but not
	// less than fewestRecords.
	recordShare   = 64
	fewestRecords = 1 << 20
	// cacheShare: without cache.memory in the file, results get at most 1/cacheShare of the
	// memory, but not less than smallestCache.
	cacheShare = 256
)

// RecordBytes returns the memory for the records of recent scans.
func (f *File) RecordBytes() int64 {
	if f.records == 0 {
		return proxy.RecordBytes
	}
	return f.records
}

// FitSpool sets the default of spool_total for a machine with this much memory, or warns
// if the file sets too large a value. It returns where the value comes from.
func (f *File) FitSpool(memory machine.Limit) (source string) {
	share := memory.N / memoryShare
	switch {
	case f.spoolTotalLine > 0:
		source = "limits.spool_total"
		if f.SpoolInMemory() && (f.Limits.SpoolTotal == 0 || f.Limits.SpoolTotal > share) {
			f.warnSpool(memory)
		}
	case !f.SpoolInMemory():
		source = "the default; " + f.Store.Directory + " is on a disk, so memory does not bound it"
	case share >= spool.DefaultTotal:
		source = "the default"
	default:
		f.Limits.SpoolTotal = share &^ (1<<20 - 1)
		source = fmt.Sprintf("half of %s, which is %s", size.Human(memory.N), memory.From)
		if f.Limits.SpoolTotal < f.Limits.Stream {
			f.addWarning(1, "limits.stream", "%q is more than the spool has on this machine, %s: streams between them are answered with an error",
				size.Format(f.Limits.Stream), size.Human(f.Limits.SpoolTotal))
		}
	}
	f.cacheMemory = f.Cache.Memory
	if !f.cacheMemorySet {
		f.Cache.Memory = min(f.Cache.Memory, max(smallestCache, memory.N/cacheShare))
	} else if f.Cache.Memory > share {
		key := cachePath.Key("memory")
		f.Warn(f.ProblemAt(key, "%q is more than half of the memory, %s (%s); at most half of it is used, %s. \"32MiB\" is enough for 160,000 results",
			size.Format(f.Cache.Memory), size.Human(memory.N), memory.From, size.Human(share)))
		f.Cache.Memory = share
	}
	f.records = min(proxy.RecordBytes, max(fewestRecords, memory.N/recordShare))
	room := min(spool.DefaultTotal, share)
	if f.Limits.SpoolTotal > 0 {
		room = min(room, f.Limits.SpoolTotal)
	}
	f.inMemory = room / heapShare
	return source
}

func (f *File) warnSpool(memory machine.Limit) {
	total := "no limit"
	if f.Limits.SpoolTotal > 0 {
		total = "\"" + size.Format(f.Limits.SpoolTotal) + "\""
	}
	f.addWarning(f.spoolTotalLine, "limits.spool_total", "%s is more than half of the memory, %s (%s): the kernel may kill the daemon; without the key half is taken",
		total, size.Human(memory.N), memory.From)
}

func (f *File) addWarning(line int, key, format string, args ...any) {
	f.Warnings = append(f.Warnings, Problem{File: f.Name, Line: line, Key: key, Text: fmt.Sprintf(format, args...)})
}

// SpoolInMemory reports whether spooled objects take memory.
func (f *File) SpoolInMemory() bool {
	return f.Store.Store != spool.Tmpfile || machine.InMemory(f.Store.Directory)
}

// CopiesInMemory reports whether engines read copies of objects under a path, which take
// memory in addition to the spool.
func (f *File) CopiesInMemory() bool {
	return f.readsPaths() && f.Store.Store != spool.Tmpfile && machine.InMemory(f.Store.Directory)
}

// readsPaths reports whether an engine reads objects under a path.
func (f *File) readsPaths() bool {
	return slices.ContainsFunc(f.Engines, func(e Engine) bool { return e.readsPaths })
}

// readsFiles reports whether an engine reads objects as files, by descriptor or by path.
func (f *File) readsFiles() bool {
	return f.readsPaths() || slices.ContainsFunc(f.Engines, func(e Engine) bool { return e.readsFiles })
}

// streamMemory replaces the default of spool_memory if no engine reads files.
const streamMemory = 16 << 20

// spoolMemory returns the size up to which a stream stays in memory. If all engines get
// streams, an object needs no file, unless the heap would be too small for several.
func (f *File) spoolMemory() int64 {
	usual := f.Limits.SpoolMemory
	if usual != spool.Defaults().Memory || f.Store.Store == spool.Tmpfile || f.readsFiles() {
		return usual
	}
	if f.inMemory == 0 {
		return streamMemory
	}
	return max(usual, min(streamMemory, f.inMemory/heapShare))
}

// needsDirectory reports whether the spool needs a directory.
func (f *File) needsDirectory() bool { return f.Store.Store == spool.Tmpfile || f.readsPaths() }

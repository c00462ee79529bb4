package main

import (
	"math"
	"os"
	"runtime/debug"

	"github.com/rs/zerolog"

	"polyclam/cmd/internal/config"
	"polyclam/cmd/internal/machine"
	"polyclam/cmd/internal/needs"
	"polyclam/cmd/internal/size"
)

// A fitting is a configuration made to fit the limits that this process runs under.
type fitting struct {
	file    *config.File
	memory  machine.Limit
	source  string // of spool_total
	changes []needs.Change
	fits    bool // into the memory
	need    needs.Needs
	tasks   machine.Limit
	goLimit int64
	goText  string // of goLimit, for the log
}

// fit makes a configuration fit. The spool holds so many bytes already. It asks file
// systems, which may not answer; the methods of what it returns do not.
func fit(file *config.File, descriptors uint64, held int64) *fitting {
	f := &fitting{file: file, memory: machine.Memory(held)}
	f.source = file.FitSpool(f.memory)
	f.changes, f.fits = needs.FitMemory(file, f.memory)
	f.changes = append(f.changes, needs.FitDescriptors(file, descriptors)...)
	f.need, f.tasks = needs.Of(file), machine.Tasks()
	f.goLimit, f.goText = limitGo(file, f.memory)
	return f
}

// take makes the fitting's memory limit that of Go, and says what was changed and what
// cannot be helped.
func (f *fitting) take(log zerolog.Logger) {
	for _, c := range f.changes {
		logChange(log, c)
	}
	debug.SetMemoryLimit(f.goLimit)
	need := f.need
	log.Info().Str("spool_total", total(f.file)).Str("source", f.source).Str("go_limit", f.goText).
		Int64("descriptors", need.Descriptors.Sum()).Int64("threads", need.Threads.Sum()).
		Str("memory", size.MiB(need.Memory.Sum())).Msg("needs at most")
	if !f.fits {
		log.Warn().Str("needed", size.MiB(need.Memory.Sum())).Str("allowed", size.MiB(f.memory.N)).Str("limit", f.memory.From).
			Str("hint", "polyclamd --check shows what needs it; lower that, or raise the limit (MemoryMax= of systemd)").Msg("too little memory")
	}
	if wanted := need.Threads.Sum() + need.Programs.Sum(); f.tasks.N < wanted {
		log.Warn().Int64("needed", wanted).Int64("allowed", f.tasks.N).Str("limit", f.tasks.From).
			Str("hint", "polyclamd --check shows what needs them; lower that, or raise the limit (TasksMax= of systemd)").Msg("too few threads and processes")
	}
}

func logChange(log zerolog.Logger, c needs.Change) {
	message, field := "scans lowered", "max_scans"
	if c.Key == "limits.connections" {
		message, field = "connections lowered", "connections"
	}
	log.Warn().Str("key", c.Key).Int("configured", c.Before).Int(field, c.Now).Str("hint", c.Hint).Msg(message)
}

func total(file *config.File) string {
	if n := file.Spool().Total; n > 0 {
		return size.MiB(n)
	}
	return "no limit"
}

// leastForGo is the lowest limit that Go gets: below, it would do nothing but collect.
const leastForGo = 48 << 20

// limitGo returns the limit at which Go is to collect garbage ever more often, also as
// text for the log. What the spool has in files of memory counts for the control group,
// but not for Go. A negative limit changes nothing: GOMEMLIMIT stays as the operator set it.
func limitGo(file *config.File, memory machine.Limit) (limit int64, text string) {
	if text := os.Getenv("GOMEMLIMIT"); text != "" {
		return -1, text + " (GOMEMLIMIT)"
	}
	if memory == machine.None {
		return math.MaxInt64, "none"
	}
	limit = memory.N - memory.N/16 // stacks of threads, tables of the kernel
	if file.SpoolInMemory() {
		limit -= file.Spool().Total
	}
	if file.CopiesInMemory() {
		limit -= file.Spool().Total
	}
	limit = max(limit, leastForGo)
	return limit, size.MiB(limit)
}

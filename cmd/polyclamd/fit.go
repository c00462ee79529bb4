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

// fitting is a configuration adapted to the limits of this process.
type fitting struct {
	file    *config.File
	memory  machine.Limit
	source  string      // where spool_total comes from
	asked   needs.Needs // before the changes
	changes []needs.Change
	fits    bool        // there is enough memory
	need    needs.Needs // after the changes
	tasks   machine.Limit
	goLimit int64
	goText  string // goLimit for the log
}

// fit adapts a configuration. held is the number of bytes already in the spool. fit
// queries file systems, which may hang; the methods of the result do not.
func fit(file *config.File, descriptors uint64, held int64) *fitting {
	f := &fitting{file: file, memory: machine.Memory(held)}
	f.source = file.FitSpool(f.memory)
	f.asked = needs.Of(file)
	f.changes, f.fits = needs.FitMemory(file, f.memory)
	f.changes = append(f.changes, needs.FitDescriptors(file, descriptors)...)
	f.need, f.tasks = needs.Of(file), machine.Tasks()
	f.goLimit, f.goText = goMemoryLimit(file, f.memory)
	return f
}

// apply sets Go's memory limit, and logs what was changed and which limits are too low.
func (f *fitting) apply(log zerolog.Logger) {
	for _, c := range f.changes {
		logChange(log, c)
	}
	debug.SetMemoryLimit(f.goLimit)
	need := f.need
	log.Info().Str("spool_total", spoolTotal(f.file)).Str("source", f.source).Str("go_limit", f.goText).
		Int64("descriptors", need.Descriptors.Sum()).Int64("threads", need.Threads.Sum()).
		Str("memory", size.MiB(need.Memory.Sum())).Msg("needs at most")
	if !f.fits {
		log.Warn().Str("needed", size.MiB(need.Memory.Sum())).Str("allowed", size.MiB(f.memory.N)).Str("limit", f.memory.From).
			Str("hint", "polyclamd --check shows what needs it; lower those keys, or raise the limit (MemoryMax= in systemd)").Msg("too little memory")
	}
	if wanted := need.Threads.Sum() + need.Programs.Sum(); f.tasks.N < wanted {
		log.Warn().Int64("needed", wanted).Int64("allowed", f.tasks.N).Str("limit", f.tasks.From).
			Str("hint", "polyclamd --check shows what needs them; lower those keys, or raise the limit (TasksMax= in systemd)").Msg("too few threads and processes")
	}
}

func logChange(log zerolog.Logger, c needs.Change) {
	message, field := "scans lowered", "max_scans"
	switch c.Key {
	case "limits.connections":
		message, field = "connections lowered", "connections"
	case "limits.waiting":
		message, field = "waiting lowered", "waiting"
	case "limits.handshakes":
		message, field = "handshakes lowered", "handshakes"
	}
	log.Warn().Str("key", c.Key).Int("configured", c.Before).Int(field, c.Now).Str("hint", c.Hint).Msg(message)
}

func spoolTotal(file *config.File) string {
	if n := file.Spool().Total; n > 0 {
		return size.MiB(n)
	}
	return "no limit"
}

// minGoLimit is the lowest memory limit for Go. Below it, Go would only collect garbage.
const minGoLimit = 48 << 20

// goMemoryLimit returns Go's memory limit, also as text for the log. In-memory files of the
// spool count for the control group but not for Go. A negative limit changes nothing: the
// operator's GOMEMLIMIT stays.
func goMemoryLimit(file *config.File, memory machine.Limit) (limit int64, text string) {
	if text := os.Getenv("GOMEMLIMIT"); text != "" {
		return -1, text + " (GOMEMLIMIT)"
	}
	if memory == machine.None {
		return math.MaxInt64, "none"
	}
	limit = memory.N - memory.N/16 // for thread stacks and kernel tables
	if file.SpoolInMemory() {
		limit -= file.Spool().Total
	}
	if file.CopiesInMemory() {
		limit -= file.Spool().Total
	}
	limit = max(limit, minGoLimit)
	return limit, size.MiB(limit)
}

package needs

import (
	"fmt"

	"polyclam/cmd/internal/config"
	"polyclam/cmd/internal/machine"
	"polyclam/cmd/internal/size"
)

// A Change is a configured limit that was lowered.
type Change struct {
	Key         string
	Before, Now int
	Hint        string
}

// FitDescriptors lowers limits.connections to fit the descriptor limit, as clamd lowers
// MaxQueue. Additional clients then wait in the backlog instead of failing after they are
// accepted.
func FitDescriptors(f *config.File, limit uint64) []Change {
	need := uint64(descriptors(f).Sum())
	if need <= limit {
		return nil
	}
	limits := f.ProxyLimits()
	own := need - uint64(limits.Descriptors())
	fit := limits.Fit(int(max(limit, own) - own))
	hint := fmt.Sprintf("%d descriptors are needed and %d are allowed: raise the hard limit (LimitNOFILE= of systemd) or lower limits.connections", need, limit)
	changes := lower("limits.waiting", &f.Limits.Waiting, fit.Waiting, hint)
	if limits.Handshakes > 0 {
		changes = append(changes, lower("limits.handshakes", &f.Limits.Handshakes, fit.Handshakes, hint)...)
	}
	return append(changes, lowerConnections(f, int64(fit.Connections), hint)...)
}

// lower sets a limit to fit if that is lower.
func lower(key string, limit *int, fit int, hint string) []Change {
	before := *limit
	if fit >= before {
		return nil
	}
	*limit = fit
	return []Change{{key, before, fit, hint}}
}

// minConnections is the lowest usable limits.connections.
func minConnections(f *config.File) int64 { return int64(len(f.Listeners)) + 1 }

func lowerConnections(f *config.File, fit int64, hint string) []Change {
	return lower("limits.connections", &f.Limits.Connections, int(max(fit, minConnections(f))), hint)
}

// FitMemory lowers limits until the needed memory fits into a hard limit: first max_scans
// of engines with memory-hungry scans, down to 1, then limits.connections. It reports
// whether the needs fit now. A limit that is not hard changes nothing.
func FitMemory(f *config.File, limit machine.Limit) (changes []Change, fits bool) {
	if !limit.Hard {
		return nil, memory(f).Sum() <= limit.N
	}
	hint := fmt.Sprintf("%s of memory are needed, but %s is %s", size.MiB(memory(f).Sum()), limit.From, size.MiB(limit.N))
	for i := range f.Engines {
		changes = append(changes, lowerScans(f, &f.Engines[i], limit.N-memoryForClients(f, limit.N), hint)...)
	}
	if memory(f).Sum() > limit.N {
		changes = append(changes, lower("limits.waiting", &f.Limits.Waiting, fewestConnections, hint)...)
	}
	if over := memory(f).Sum() - limit.N; over > 0 {
		each := connectionMemory + 16<<10 + tlsEach(f)
		least := max(minConnections(f), fewestConnections)
		changes = append(changes, lowerConnections(f, max(least, int64(f.Limits.Connections)-(over+each-1)/each), hint)...)
	}
	return changes, memory(f).Sum() <= limit.N
}

// fewestConnections is how far a lack of memory may lower limits.connections.
const fewestConnections = 256

// memoryForClients is the memory reserved for connections: as much as they need, up to an
// eighth.
func memoryForClients(f *config.File, limit int64) int64 {
	return min(limit/8, (connectionMemory+16<<10+tlsEach(f))*int64(f.Limits.Connections))
}

// lowerScans lowers max_scans of an engine whose scans take memory, so that everything
// but the connections fits into room.
func lowerScans(f *config.File, u *config.Engine, room int64, hint string) []Change {
	if u.ScanMemory() == 0 {
		return nil
	}
	clients := int64(f.Limits.Connections)
	others := memory(f).Sum() - perScan(u)*slots(u) - (connectionMemory+tlsEach(f))*clients - receiveMemory(clients)
	fit := max(1, (room-others)/(perScan(u)*nodes(u)))
	if fit >= int64(u.MaxScans) {
		return nil
	}
	before := u.MaxScans
	u.MaxScans = int(fit)
	return []Change{{"max_scans of " + u.Name, before, int(fit), hint}}
}

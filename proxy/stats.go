package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"polyclam/protocol"
)

// fallbackVersion is said when no engine is a clamd that answers. Clients insist on
// "ClamAV" and a number in front; this is the clamd whose protocol we speak.
const fallbackVersion = "ClamAV 1.4.6"

// versionWait bounds how long VERSION waits for an engine.
const versionWait = 2 * time.Second

// clamVersion is the version of the first engine that is a ClamAV, in its words.
func (r *request) clamVersion() string {
	ctx, cancel := context.WithTimeout(r.s.srv.ctx, versionWait)
	defer cancel()
	for _, u := range r.cfg.Engines {
		if v, ok := u.Version(ctx); ok && strings.HasPrefix(v.Text, "ClamAV ") {
			return escape(v.Text, maxLoggedName)
		}
	}
	return fallbackVersion
}

// scans are the scans under way, for STATS.
type scans struct {
	mu   sync.Mutex
	last uint64
	m    map[uint64]scanning
}

type scanning struct {
	verb, object string
	start        time.Time
}

// begin notes a scan. The function it returns ends it.
func (s *scans) begin(verb, object string) func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = map[uint64]scanning{}
	}
	s.last++
	id := s.last
	s.m[id] = scanning{verb, object, time.Now()}
	return func() {
		s.mu.Lock()
		delete(s.m, id)
		s.mu.Unlock()
	}
}

// list returns the scans under way, the oldest first.
func (s *scans) list() []scanning {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]scanning, 0, len(s.m))
	for _, sc := range s.m {
		out = append(out, sc)
	}
	slices.SortFunc(out, func(a, b scanning) int { return a.start.Compare(b.start) })
	return out
}

const (
	maxStatsLines  = 512 // scans listed
	maxStatsObject = 200 // clamdtop reads lines of up to 1024 bytes
)

// stats is the reply to STATS without its last terminator: one pool, which must say
// PRIMARY once or clamdtop aborts; a thread is a scan under way.
func (r *request) stats() string {
	running := r.s.srv.running.list()
	slots := 0
	for _, u := range r.cfg.Engines {
		slots = max(slots, u.Slots())
	}
	now := time.Now()
	var b strings.Builder
	b.WriteString("POOLS: 1\n\nSTATE: VALID PRIMARY\n")
	fmt.Fprintf(&b, "THREADS: live %d  idle 0 max %d idle-timeout 30\n", len(running)+1, max(slots, len(running)+1))
	b.WriteString("QUEUE: 0 items\n")
	for _, sc := range running[:min(len(running), maxStatsLines)] {
		fmt.Fprintf(&b, "\t%s %.6f %s\n", sc.verb, now.Sub(sc.start).Seconds(), protocol.EscapeWords(escape(sc.object, maxStatsObject)))
	}
	b.WriteString("\tSTATS 0.000001 \n")
	st := r.s.srv.spool.Stats()
	fmt.Fprintf(&b, "\nMEMSTATS: heap N/A mmap N/A used N/A free N/A releasable N/A pools 1 pools_used %.3fM pools_total %.3fM\nEND",
		float64(st.Used)/(1<<20), float64(st.Total)/(1<<20))
	return b.String()
}

// reloadEngines has every engine load its signatures again, in the background. Each
// does so once more if it is doing so already, so that it misses nothing.
func (s *Server) reloadEngines() {
	for _, u := range s.cfg.Load().Engines {
		s.reloading.Add(1)
		go func() {
			defer s.reloading.Add(-1)
			if err := u.Reload(s.ctx); err != nil && s.ctx.Err() == nil {
				s.log.Warn().Err(err).Str("engine", u.Name()).Msg("engine reload")
			}
		}()
	}
}

// selfCheck asks all engines whether their signatures are up to date; false: one of them
// is loading newer ones. The error is about those that did not answer.
func (s *Server) selfCheck(ctx context.Context, cfg *Config) (upToDate bool, err error) {
	if s.reloading.Load() > 0 {
		return false, nil
	}
	answers := make([]bool, len(cfg.Engines))
	errs := make([]error, len(cfg.Engines))
	var asking sync.WaitGroup
	for i, u := range cfg.Engines {
		asking.Go(func() { answers[i], errs[i] = u.SelfCheck(ctx) })
	}
	asking.Wait()
	return !slices.Contains(answers, false), errors.Join(errs...)
}

package hook

import (
	"time"

	"polyclam/proxy/client"
)

// reportInterval is how often the log says that events are dropped, or runs fail.
const reportInterval = time.Minute

// drop counts an event that gets no run. The caller has the lock.
func (r *Runner) drop(id string) {
	r.stats.Dropped++
	if suppressed, ok := r.rate.Allow(client.Key{}, "dropped"); ok {
		r.log.Warn().Str("id", id).Int("events", suppressed+1).
			Str("hint", "the program of [on_find] is too slow: raise max_running, or make it faster").Msg("on_find events dropped")
	}
}

// dropAll drops the events that wait when the daemon stops. The caller has the lock.
func (r *Runner) dropAll() {
	n := len(r.queue)
	if n == 0 {
		return
	}
	r.stats.Dropped += int64(n)
	r.queue = nil
	r.log.Warn().Int("events", n).Str("hint", "the daemon stopped before the program of [on_find] ran for them").Msg("on_find events dropped")
}

// ended counts and logs the end of a run.
func (r *Runner) ended(j job, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Runs++
	if err == nil {
		return
	}
	r.stats.Failures++
	if suppressed, ok := r.rate.Allow(client.Key{}, "failed"); ok {
		r.log.Warn().Str("id", j.event.ID).Int("runs", suppressed+1).Str("program", j.config.Program).
			Err(err).Msg("on_find failed")
	}
}

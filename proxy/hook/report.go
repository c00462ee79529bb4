package hook

import "time"

// reportInterval is how often the log says that events are dropped, or runs fail.
const reportInterval = time.Minute

// report limits a log line to one for each interval. The caller has the lock.
type report struct {
	last   time.Time
	silent int64 // not logged since
}

// add counts n, and returns how many to report, or 0 for not now.
func (r *report) add(n int64, now time.Time) int64 {
	r.silent += n
	if n == 0 || now.Sub(r.last) < reportInterval && !r.last.IsZero() {
		return 0
	}
	n, r.silent, r.last = r.silent, 0, now
	return n
}

// drop counts events that get no run. The caller has the lock.
func (r *Runner) drop(n int64, id string) {
	r.stats.Dropped += n
	if n = r.lost.add(n, time.Now()); n > 0 {
		r.log.Warn().Str("id", id).Int64("events", n).
			Str("hint", "the program of [on_find] is too slow: raise max_running, or make it faster").Msg("on_find events dropped")
	}
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
	if n := r.failing.add(1, time.Now()); n > 0 {
		r.log.Warn().Str("id", j.event.ID).Int64("runs", n).Str("program", j.config.Program).
			Err(err).Msg("on_find failed")
	}
}

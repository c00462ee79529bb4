package spool

// Kept memory fills only what objects leave of the quota. Admission ignores it: what an
// object has been granted is freed by makeRoom.

// keep counts n more bytes as kept, if that makes at most limit and uploads leave the room.
func (q *quota) keep(n, limit int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.kept+n > limit || q.total > 0 && q.all.held+q.all.small+q.kept+n > q.total {
		return false
	}
	q.setKept(q.kept + n)
	return true
}

// unkeep counts n bytes less as kept.
func (q *quota) unkeep(n int64) {
	if n == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.setKept(q.kept - n)
}

// reuse counts kept bytes as n bytes of an object that is complete.
func (q *quota) reuse(o *Object, kept, n int64) {
	defer q.makeRoom()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.setKept(q.kept - kept)
	q.extra(&o.charge, n)
}

func (q *quota) setKept(n int64) {
	q.kept = n
	q.anyKept.Store(n > 0)
}

// keptOver is how much more than limit is kept.
func (q *quota) keptOver(limit int64) int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.kept - limit
}

// makeRoom frees kept memory that objects need.
func (q *quota) makeRoom() {
	if !q.anyKept.Load() {
		return
	}
	q.mu.Lock()
	over := q.all.held + q.all.small + q.kept - q.total
	none := q.total == 0
	q.mu.Unlock()
	if over > 0 && !none {
		q.shrink(over)
	}
}

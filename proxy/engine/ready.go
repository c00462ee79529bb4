package engine

// ChecksHealth reports whether nodes have to pass health checks before they are used.
func (p *pool) ChecksHealth() bool { return p.config().Canary }

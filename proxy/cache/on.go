package cache

// On reports whether there is a store for results.
func (s Stats) On() bool { return s.Memory.Limit > 0 || s.Shared != nil }

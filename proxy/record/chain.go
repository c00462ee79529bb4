package record

// A chain is a list of entries from the newest to the oldest, linked by one of their hooks.
type chain struct{ newest, oldest *entry }

type link struct{ newer, older *entry }

// push adds e as the newest entry, or where it belongs if e is older than that.
func (c *chain) push(e *entry, hook int) {
	newer, older := (*entry)(nil), c.newest
	for older != nil && older.serial > e.serial {
		newer, older = older, older.links[hook].older
	}
	e.links[hook] = link{newer, older}
	c.join(newer, e, hook)
	c.join(e, older, hook)
}

func (c *chain) remove(e *entry, hook int) {
	l := e.links[hook]
	c.join(l.newer, l.older, hook)
	e.links[hook] = link{}
}

// join makes newer and older neighbours. A nil one is the end of the chain.
func (c *chain) join(newer, older *entry, hook int) {
	if newer == nil {
		c.newest = older
	} else {
		newer.links[hook].older = older
	}
	if older == nil {
		c.oldest = newer
	} else {
		older.links[hook].newer = newer
	}
}

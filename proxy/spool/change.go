package spool

import (
	"fmt"
	"slices"
)

// A Change holds settings that have been checked and are ready for use. Every Change
// must be released.
type Change struct {
	spool *Spool
	set   *settings // those not in use: the new ones before Apply, the old ones after it
}

// Configure changes the settings. It checks them as New does; after an error the old
// settings stay in use. Existing objects and writers keep the settings that they began
// with, except for the quota, which is common to all.
func (s *Spool) Configure(cfg Config) error {
	c, err := s.Prepare(cfg)
	if err != nil {
		return err
	}
	defer c.Release()
	c.Apply()
	return nil
}

// Prepare does the part of Configure that can fail, or hang with a file system. It changes
// nothing yet.
func (s *Spool) Prepare(cfg Config) (*Change, error) {
	old := s.settings()
	defer old.release()
	set, err := open(cfg, old)
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	if err := s.probe(set); err != nil {
		set.release()
		return nil, fmt.Errorf("spool: %w", err)
	}
	return &Change{spool: s, set: set}, nil
}

// Apply puts the settings into use. It neither fails nor waits for a file system. Call it
// once, and not after the spool was closed.
func (c *Change) Apply() {
	s := c.spool
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quota.configure(c.set.Config)
	s.keeper.configure(c.set.keep())
	s.pool.configure(c.set.Segments())
	c.exchange()
}

// exchange swaps the settings in use with those of c. The caller holds the spool's mu.
func (c *Change) exchange() {
	s := c.spool
	c.set, s.set = s.set, c.set
	if dir := c.set.dir; dir != nil && dir != s.set.dir {
		s.former = append(s.former, dir)
	}
}

// Release releases the settings that are not in use.
func (c *Change) Release() {
	c.set.release()
	s := c.spool
	s.mu.Lock()
	defer s.mu.Unlock()
	s.former = slices.DeleteFunc(s.former, func(d *directory) bool { return d.refs.Load() <= 0 })
}

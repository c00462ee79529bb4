package engine

import (
	"context"
	"errors"
)

// Mode says what an engine's results are used for. It is set in the configuration and can
// be changed at run time.
type Mode string

// The modes of an engine.
const (
	On      Mode = "on"      // its results count
	Observe Mode = "observe" // it gets objects, and its results are logged and counted, but no verdict depends on them
	Off     Mode = "off"     // it gets no objects
)

var errUnfinished = errors.New("not yet")

// Mode returns the engine's mode.
func (e *Engine) Mode() Mode { return On }

// SetMode changes the mode until the daemon ends, or until a reload with another mode in
// the configuration.
func (e *Engine) SetMode(m Mode) error { return errUnfinished }

// Drain takes nodes out of use: they get no new scans, and those under way finish. address
// "" means all nodes. Health checks continue. It lasts until Resume or the end of the
// daemon. An unknown address is an error that lists the known ones.
func (e *Engine) Drain(address string) error { return errUnfinished }

// Resume undoes Drain.
func (e *Engine) Resume(address string) error { return errUnfinished }

// CheckNow starts a health check of every node, and waits until all have ended or ctx
// does. Status then has the results.
func (e *Engine) CheckNow(ctx context.Context) error { return errUnfinished }

// UsableNodes is how many nodes scans may use at this moment.
func (e *Engine) UsableNodes() int { return 0 }

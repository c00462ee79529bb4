package admin

import (
	"net/http"
	"strings"

	"github.com/rs/zerolog"

	"polyclam/proxy/printable"
)

// entry is the log line of one command.
type entry struct {
	log           zerolog.Logger
	user, command string
	engine, node  string
	wanted        string // what it asked for, if that is not in command
	force         bool
	hasChange     bool
	before, after string
	changes       []string // of a reload
}

func (h *handler) entry(r *http.Request, command string) *entry {
	return &entry{log: h.log, user: userOf(r.Context()), command: command}
}

func (e *entry) target(engine, node string) *entry {
	e.engine, e.node = engine, node
	return e
}

func (e *entry) forced(force bool) *entry {
	e.force = force
	return e
}

func (e *entry) changed(before, after string) { e.hasChange, e.before, e.after = true, before, after }

// maxText is the length of a text from a request in the log.
const maxText = 256

// maxError is the length of an error in the log.
const maxError = 1024

// write logs the command, whatever the level of the log: who did what must not be missing
// from it.
func (e *entry) write(err error) {
	event := e.log.Log().Str(zerolog.LevelFieldName, zerolog.LevelInfoValue).Str("user", e.user).Str("command", e.command)
	text := func(key, value string) {
		if value != "" {
			event.Str(key, printable.Escape(value, maxText))
		}
	}
	text("engine", e.engine)
	text("node", e.node)
	text("wanted", e.wanted)
	if e.force {
		event.Bool("force", true)
	}
	if e.hasChange {
		event.Str("before", e.before).Str("after", e.after)
	}
	if e.changes != nil {
		event.Strs("changes", e.changes)
	}
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n") // the daemon logs all problems of a file itself
		event.Str("error", first[:min(len(first), maxError)])
	}
	event.Msg("admin command")
}

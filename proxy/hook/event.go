package hook

import (
	"os"
	"strconv"
	"strings"

	"polyclam/backends"
)

// Event is an object in which something was found. All fields except Object are escaped:
// printable, and bounded.
type Event struct {
	ID       string // of the request, as in the log
	Object   string // as the client named it, byte for byte: a path, "stream" or "fd[10]"
	Name     string // of the finding, as in the reply
	Category backends.Category
	Action   string
	Engine   string   // that the verdict comes from
	Engines  []string // "clamav=virus", one for each engine
	Client   string
	Listener string
	Command  string
	Size     int64
}

// defaultPath is the search path of a program if the daemon has none: a shell script
// expects one.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment returns the whole environment of the program. The daemon's own is not passed
// on: it may contain secrets, and names sockets that belong to the daemon.
//
// The first two variables are those of clamd 1.4.6 (clamd/clamd_others.c, virusaction).
func (e *Event) environment() []string {
	path := os.Getenv("PATH")
	if path == "" {
		path = defaultPath
	}
	return []string{
		"PATH=" + path,
		"LC_ALL=C",
		// The kernel ends the string at a NUL byte; os/exec refuses it.
		"CLAM_VIRUSEVENT_FILENAME=" + strings.ReplaceAll(e.Object, "\x00", ""),
		"CLAM_VIRUSEVENT_VIRUSNAME=" + e.Name,
		"POLYCLAM_ID=" + e.ID,
		"POLYCLAM_CATEGORY=" + string(e.Category),
		"POLYCLAM_ACTION=" + e.Action,
		"POLYCLAM_ENGINE=" + e.Engine,
		"POLYCLAM_ENGINES=" + strings.Join(e.Engines, " "),
		"POLYCLAM_CLIENT=" + e.Client,
		"POLYCLAM_LISTENER=" + e.Listener,
		"POLYCLAM_COMMAND=" + e.Command,
		"POLYCLAM_SIZE=" + strconv.FormatInt(e.Size, 10),
	}
}

package differential

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"polyclam/test/clamdtest"
)

// selfTest reports whether a second clamd replaces polyclam.
var selfTest = os.Getenv("POLYCLAM_DIFFERENTIAL_SELF") == "1"

// A world is one configuration of both sides.
type world struct {
	clamd  []string // lines of clamd.conf
	limits string   // lines below [limits] of polyclam's configuration
	// listener has more lines for polyclam's Unix listener.
	listener string
	// alone says that its dialogues are played one by one, because they leave traces in
	// clamd.
	alone bool
	daily bool // the database has a version
	// noPaths leaves polyclam without a directory for named copies, its default.
	noPaths bool
}

var worlds = map[string]world{
	"": {},
	// Replies of this one may reach the wrong client: clamd closes a socket that a scan
	// still uses.
	"wild":      {alone: true},
	"reload":    {alone: true},
	"daily":     {daily: true},
	"limits":    {clamd: []string{"StreamMaxLength 1000"}, limits: `stream = "1000"`},
	"unlimited": {clamd: []string{"StreamMaxLength 0"}, limits: `stream = "0"`},
	"timeouts": {
		clamd:  []string{"CommandReadTimeout 2", "ReadTimeout 2"},
		limits: "command_read_timeout = \"2s\"\nread_timeout = \"2s\"\nstream_min_rate = 0",
	},
	"nopaths": {noPaths: true},
	"links":   {clamd: []string{"FollowFileSymlinks yes", "FollowDirectorySymlinks yes"}},
	"alert":   {clamd: []string{"AlertEncrypted yes", "AlertExceedsMax yes", "MaxFileSize 100K", "MaxScanSize 100K"}},
	"small":   {clamd: []string{"MaxFileSize 100K"}},
}

// server is one side of a world.
type server struct {
	socket, tcp string
	ended       func() bool
}

// sides are the two servers of a world.
type sides struct {
	clamd, polyclam *server
	mu              sync.Mutex // held by a dialogue of a world that is alone
}

// open starts both sides of the world. polyclam has its own clamd with the same
// configuration, because the clamd that the dialogues are played to sends replies to
// wrong clients (clamd 1.4.6: after a refused command in a session with pending scans).
// Both clamds work in "/", as a daemon does, where relative paths begin.
func (w world) open(t *testing.T) *sides {
	t.Helper()
	options := clamdtest.Options{Conf: w.clamd, TCP: true, WorkDir: "/", HideLog: true, Daily: w.daily}
	reference := clamdtest.Start(t, options)
	engine := clamdtest.Start(t, options)
	s := &sides{clamd: &server{reference.Socket, reference.TCP, reference.Ended}}
	if selfTest {
		s.polyclam = &server{engine.Socket, engine.TCP, engine.Ended}
		return s
	}
	p := clamdtest.StartPolyclam(t, w.config(engine.Socket), clamdtest.Options{WorkDir: "/", HideLog: true})
	s.polyclam = &server{p.Socket, p.TCP, p.Ended}
	return s
}

// config is polyclam's configuration. With first_virus = "wait" the reported name is
// always clamd's, the first engine of the configuration.
//
// With a spool directory polyclam can send clamd ALLMATCHSCAN, which takes only paths.
func (w world) config(engine string) string {
	spool := "[spool]\ndirectory = \"${DIR}/tmp\""
	if w.noPaths {
		spool = ""
	}
	return fmt.Sprintf(`
[[listener]]
address = "unix:${DIR}/p.sock"
mode = "0666"
%s

[[listener]]
address = "tcp:127.0.0.1:${PORT}"

[[engine]]
name = "clamav"
backend = "clamd"
address = "unix:%s"
size_check = false

[[engine]]
name = "inspect"
backend = "inspect"

[policy]
first_virus = "wait"

[limits]
%s

%s
`, w.listener, engine, w.limits, spool)
}

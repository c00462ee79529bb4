package clients

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"polyclam/protocol"
	"polyclam/test/clamdtest"
)

// The states of polyclam's engines.
const (
	worldUp      = "up"      // a real clamd, and inspect
	worldFailing = "failing" // clamd answers ERROR to every scan
	worldHanging = "hanging" // clamd reads the object and never answers
	worldDown    = "down"    // two engines, both unreachable
	// The same with status = "extended".
	worldExtended        = "extended"
	worldExtendedFailing = "extended, failing"
)

// engines are the engines of the suite's polyclamds.
type engines struct {
	clamd            string // Unix socket of a real one
	failing, hanging string // host:port of fakes
}

func startEngines(t *testing.T) *engines {
	clamdtest.RequireProgram(t, "zip")
	return &engines{
		clamd:   clamdtest.Start(t, clamdtest.Options{Daily: true}).Socket,
		failing: startFake(t, "stream: Can't allocate memory ERROR"),
		hanging: startFake(t, ""),
	}
}

// startFake runs a clamd that reads the stream of INSTREAM and answers reply, or
// nothing if it is empty. The reply is one of clamd 1.4.6 (cl_strerror of CL_EMEM).
func startFake(t *testing.T, reply string) string {
	t.Helper()
	return listen(t, "tcp", "127.0.0.1:0", func(nc net.Conn) { serveFake(nc, reply) })
}

func serveFake(nc net.Conn, reply string) {
	c := protocol.NewConn(nc)
	defer c.Close()
	cmd, err := c.ReadCommand()
	if err != nil || cmd.Verb != protocol.VerbInstream {
		return
	}
	if _, err := c.Stream(0, hang).WriteTo(io.Discard); err != nil {
		return
	}
	if reply != "" {
		c.WriteReply([]byte(reply+string(cmd.Term)), hang)
		return
	}
	c.Discard(hang, hang, 1<<20) // until polyclamd gives up
}

// engines returns the engines of a world as configuration.
func (e *engines) engines(world string) string {
	fake := func(address string) string {
		return fmt.Sprintf("[[engine]]\nname = \"clamav\"\nbackend = \"clamd\"\naddress = \"tcp:%s\"\nsessions = false\ncanary = false\n", address)
	}
	const inspect = "[[engine]]\nname = \"inspect\"\nbackend = \"inspect\"\n"
	switch world {
	case worldFailing, worldExtendedFailing:
		return fake(e.failing) + inspect
	case worldHanging:
		return fake(e.hanging) + inspect
	case worldDown:
		return "[[engine]]\nname = \"clamav\"\nbackend = \"clamd\"\naddress = \"unix:${DIR}/nobody.sock\"\n" +
			"[[engine]]\nname = \"sophos\"\nbackend = \"sssp\"\naddress = \"unix:${DIR}/nobody-either.sock\"\n"
	default:
		return fmt.Sprintf("[[engine]]\nname = \"clamav\"\nbackend = \"clamd\"\naddress = \"unix:%s\"\nmax_size = %d\n", e.clamd, streamLimit) + inspect
	}
}

// A target is the address where the client finds a daemon: a socket in a world-readable
// directory, or a port. Daemons replace each other there.
type target struct {
	network string
	socket  string // path of the Unix socket
	host    string // 127.0.0.1
	port    string
	dir     string
	user    string
}

func newTarget(t *testing.T, c client) target {
	dir := clamdtest.Dir(t, c.user)
	return target{c.network, filepath.Join(dir, "clamd.sock"), "127.0.0.1", clamdtest.Port(t), dir, c.user}
}

// fill replaces the addresses that all recipes use with the target's.
func (at target) fill(text string) string {
	return strings.NewReplacer("/run/polyclam/clamd.sock", at.socket, "3310", at.port).Replace(text)
}

// place moves the socket of a daemon to where the client looks for it.
func (at target) place(t *testing.T, socket string) {
	t.Helper()
	next := at.socket + ".next"
	if err := os.Symlink(socket, next); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, at.socket); err != nil {
		t.Fatal(err)
	}
}

// A daemon is a running daemon at a target.
type daemon struct {
	stop func()
	log  func() string
}

// startClamd starts a clamd at the target.
func (at target) startClamd(t *testing.T) daemon {
	t.Helper()
	d := clamdtest.Start(t, clamdtest.Options{
		Daily: true, TCP: true, Port: at.port, User: at.user,
		Conf: []string{fmt.Sprintf("StreamMaxLength %d", streamLimit), fmt.Sprintf("MaxFileSize %d", streamLimit)},
	})
	at.place(t, d.Socket)
	return daemon{d.Kill, d.Log}
}

// startPolyclam starts a polyclamd at the target, with the listener of the client's
// recipe and the engines of a world.
func (at target) startPolyclam(t *testing.T, c client, e *engines, world string) daemon {
	t.Helper()
	p := clamdtest.StartPolyclam(t, config(snippet(t, c.recipe, c.listener), world)+e.engines(world), clamdtest.Options{
		Port: at.port, User: at.user,
	})
	if at.network == "unix" {
		at.place(t, p.Socket)
	}
	return daemon{p.Stop, p.Log}
}

var answerWithin = regexp.MustCompile(`(?m)^answer_within.*\n`)

// config is a configuration with a recipe's listener. Where the engine hangs, the test
// does not wait as long as a user would. The names that clients receive are compared
// with clamd's, so they must not depend on which engine is faster.
func config(listener, world string) string {
	const start = "[[listener]]\n"
	switch world {
	case worldHanging:
		listener = answerWithin.ReplaceAllString(listener, "")
		listener = strings.ReplaceAll(listener, start, start+"answer_within = \"2s\"\n")
	case worldExtended, worldExtendedFailing:
		listener = strings.ReplaceAll(listener, start, start+"status = \"extended\"\n")
	}
	listener = strings.NewReplacer("unix:/run/polyclam/clamd.sock", "unix:${DIR}/p.sock", "3310", "${PORT}").Replace(listener)
	return listener + fmt.Sprintf("\n[policy]\nfirst_virus = \"wait\"\n[limits]\nstream = %d\n", streamLimit)
}

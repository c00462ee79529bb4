package clients

import (
	"io"
	"net"
	"path/filepath"
	"testing"

	"polyclam/protocol"
	"polyclam/test/clamdtest"
)

// silence is the reply of a daemon that never answers.
const silence = "silence"

// answerOnly runs a clamd that reads any command, and the stream of INSTREAM, sends
// reply, and closes the connection. It returns the path of its socket.
func answerOnly(t *testing.T, reply string) string {
	socket := filepath.Join(clamdtest.Dir(t, ""), "clamd.sock")
	listen(t, "unix", socket, func(nc net.Conn) { serveAnswer(nc, reply) })
	return socket
}

func serveAnswer(nc net.Conn, reply string) {
	c := protocol.NewConn(nc)
	defer c.Close()
	cmd, err := c.ReadCommand()
	if err != nil {
		return
	}
	if cmd.Verb == protocol.VerbInstream {
		if _, err := c.Stream(0, hang).WriteTo(io.Discard); err != nil {
			return
		}
	}
	switch {
	case cmd.Verb == protocol.VerbPing:
		c.WriteReply([]byte("PONG"+string(cmd.Term)), hang)
	case reply == silence:
		c.Discard(hang, hang, 1<<20) // until the client gives up
	case reply != "":
		c.WriteReply([]byte(reply), hang)
	}
}

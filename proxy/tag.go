package proxy

import "polyclam/protocol"

// badTag is the reason why XTAG is refused.
const badTag = "XTAG needs an id of 1 to 128 printable ASCII characters without spaces"

// readFirst reads the first command of a connection, and takes the ids that precede it. All
// of that must come within one command_read_timeout.
func (s *session) readFirst() (protocol.Command, error) {
	for {
		cmd, err := s.conn.ReadCommand()
		if !s.takeTag(cmd) {
			return cmd, err
		}
	}
}

// takeTag takes the id of an XTAG for the commands that follow, and reports whether cmd is
// one with a valid id. After any other XTAG there is no id.
func (s *session) takeTag(cmd protocol.Command) bool {
	if cmd.Verb != protocol.VerbXTag {
		return false
	}
	if s.tag = ""; !protocol.ValidTag(cmd.Arg) {
		return false
	}
	s.tag = cmd.Arg
	return true
}

// refuseTag refuses an XTAG as a server that does not know it does, so that the client
// asks again without an id.
func (r *request) refuseTag() {
	r.logRefusal(badTag)
	r.sendError("UNKNOWN COMMAND")
}

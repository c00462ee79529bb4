package proxy

import "polyclam/protocol/extended"

// SetAbout replaces what XSTATUS reports about the program that runs the server. Values
// that are too long for a record are cut.
func (s *Server) SetAbout(a extended.About) {
	for _, value := range []*string{&a.Config, &a.ConfigProblem, &a.User, &a.Groups, &a.GIDs, &a.MemoryLimitFrom} {
		*value = cutValue(*value)
	}
	s.about.Store(&a)
}

// about returns what this client hears about the program. One on another machine hears that
// the configuration is refused, but nothing about files, users and memory. Neither does one on
// the loopback interface, which may be a tunnel's end.
func (s *session) about() extended.About {
	a := *s.srv.about.Load()
	if !s.peer.local() {
		a = extended.About{ConfigRefused: a.ConfigRefused}
	}
	return a
}

// maxValue is the length of a value in a record, before it is escaped.
const maxValue = 256

func cutValue(s string) string {
	if len(s) <= maxValue {
		return s
	}
	return s[:maxValue-3] + "..."
}

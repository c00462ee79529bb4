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

// maxValue is the length of a value in a record, before it is escaped.
const maxValue = 256

func cutValue(s string) string {
	if len(s) <= maxValue {
		return s
	}
	return s[:maxValue-3] + "..."
}

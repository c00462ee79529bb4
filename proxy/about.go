package proxy

import (
	"fmt"
	"strings"
	"time"
)

// About is what the program that runs the server knows about itself, for XSTATUS.
type About struct {
	Config     string    // the configuration file; empty: none
	ConfigTime time.Time // when the file that is in use was last changed
	// ConfigRefused is when a reload was first refused since the last one that succeeded,
	// and ConfigProblem the first problem. Zero: none was.
	ConfigRefused time.Time
	ConfigProblem string

	User   string
	UID    int
	Groups []string // names
	GIDs   []int

	MemoryNeeded    int64 // at most, in bytes
	MemoryLimit     int64 // 0: no limit
	MemoryLimitFrom string
}

// SetAbout replaces what XSTATUS reports about the program.
func (s *Server) SetAbout(a About) { s.about.Store(&a) }

// maxField is the length of a value in a SERVER record.
const maxField = 256

// bounded cuts a value that is too long for a record.
func bounded(s string) string {
	if len(s) <= maxField {
		return s
	}
	return s[:maxField-3] + "..."
}

// list joins as many values as fit into a record.
func list[T any](values []T) string {
	var b strings.Builder
	for i, v := range values {
		one := fmt.Sprint(v)
		if b.Len()+1+len(one) > maxField {
			break
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(one)
	}
	return b.String()
}

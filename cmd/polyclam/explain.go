package main

import (
	"fmt"
	"strconv"
	"strings"

	"polyclam/backends/access"
	"polyclam/protocol/extended"
)

// identity returns the user and groups of a running polyclamd; ok is false if it does not
// report them.
func identity(s *extended.Server) (id access.Identity, ok bool) {
	if s.GIDs == "" {
		return id, false
	}
	id.UID = int(s.UID)
	for gid := range strings.SplitSeq(s.GIDs, ",") {
		n, err := strconv.Atoi(gid)
		if err != nil {
			return id, false
		}
		id.GIDs = append(id.GIDs, n)
	}
	return id, true
}

// who describes a running polyclamd: "polyclamd (polyclam, groups polyclam and clamav)".
func who(s *extended.Server) string {
	groups := strings.Split(s.Groups, ",")
	if s.User == "" || s.Groups == "" {
		return "polyclamd"
	}
	if len(groups) == 1 {
		return fmt.Sprintf("polyclamd (%s, group %s)", s.User, groups[0])
	}
	last := len(groups) - 1
	return fmt.Sprintf("polyclamd (%s, groups %s and %s)", s.User, strings.Join(groups[:last], ", "), groups[last])
}

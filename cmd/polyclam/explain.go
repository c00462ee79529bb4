package main

import (
	"fmt"
	"strconv"
	"strings"

	"polyclam/backends"
	"polyclam/cmd/internal/access"
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

// explain says what keeps polyclamd from the Unix socket of a node that is not used, and
// what would change that. It returns "" if nothing does, as far as this tool can see.
func (st *serverStatus) explain(n *nodeStatus) string {
	id, known := identity(&st.Server)
	network, path, err := backends.ParseAddress(n.Address)
	if n.healthy() || !known || err != nil || network != "unix" || strings.Contains(n.Reason, " runs as ") { // says so itself
		return ""
	}
	denied, err := id.Check(path, access.Write)
	if err != nil || denied == nil {
		return ""
	}
	return fmt.Sprintf("%s: %s", denied, denied.Remedy())
}

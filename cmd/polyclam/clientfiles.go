package main

import (
	"fmt"
	"io/fs"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"polyclam/backends/access"
	"polyclam/cmd/internal/config"
	"polyclam/cmd/internal/migrate"
	"polyclam/proxy/status"
)

// clients reports clients of this polyclamd whose listener has another profile, or whose
// files it cannot read.
func (in *inspection) clients() (list []finding) {
	if in.machine == nil {
		return nil
	}
	clients := in.machine.Clients()
	for _, c := range clients {
		l := in.listener(c.Address)
		if l == nil {
			continue
		}
		isShared := slices.ContainsFunc(clients, func(o migrate.Client) bool { return o.Profile != c.Profile && in.listener(o.Address) == l })
		for _, f := range []*finding{profileFinding(c, l, isShared), in.pathFinding(c, l), in.fileFinding(c)} {
			if f != nil {
				list = append(list, *f)
			}
		}
	}
	return list
}

const genericProfile = "generic"

// profileFinding reports a listener whose profile is not its client's, unless the listener's
// own keys have the same effect. On one that clients with other profiles share, a closed
// connection may be the only failure that all of them understand.
func profileFinding(c migrate.Client, l *config.Listener, isShared bool) *finding {
	want, ok := status.Lookup(c.Profile)
	if !ok || c.Profile == genericProfile || l.Client == c.Profile {
		return nil
	}
	have, remedy := l.Profile(), fmt.Sprintf("set client = %q in that [[listener]]", c.Profile)
	if isShared {
		remedy = fmt.Sprintf("other clients use it too, so give this one a [[listener]] of its own with client = %q", c.Profile)
		if have.ErrorStyle == status.StyleClose && want.ErrorStyle == status.StyleError {
			have.ErrorStyle = want.ErrorStyle
		}
	}
	if serves(have, want) {
		return nil
	}
	return &finding{fmt.Sprintf("%s uses %s (%s), whose profile is %q: %s; \"polyclam profiles\" explains the difference",
		c.Name, l.Address, c.Where, l.Client, remedy), exitFound}
}

// serves reports whether a listener with one profile is right for the client of another.
// An answer_within that the operator has set may fit the client's own setting.
func serves(have, want status.Profile) bool {
	usual, _ := status.Lookup(genericProfile)
	return have.ErrorStyle == want.ErrorStyle && have.EncryptedPrefix == want.EncryptedPrefix &&
		have.MaxLine <= want.MaxLine && have.MaxPathLine <= want.MaxPathLine &&
		(have.AnswerWithin <= want.AnswerWithin || have.AnswerWithin != usual.AnswerWithin) &&
		(have.WorstFirst || !want.WorstFirst) && (have.UnknownIsClean || !want.UnknownIsClean) && (have.LimitIsClean || !want.LimitIsClean)
}

// pathFinding reports a client whose paths are refused, wherever its files are.
func (in *inspection) pathFinding(c migrate.Client, l *config.Listener) *finding {
	isBelow := func(root string) bool {
		rel, err := filepath.Rel(root, c.Dir)
		return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
	}
	switch {
	case c.Owner == "":
		return nil
	case !l.PathCommands:
		return &finding{fmt.Sprintf("%s (%s) names files by their path, and %s refuses that: set path_commands = true in that [[listener]]", c.Name, c.Where, l.Address), exitFound}
	case len(in.file.ScanPaths) > 0 && !slices.ContainsFunc(in.file.ScanPaths, isBelow):
		return &finding{fmt.Sprintf("%s (%s) has files in %s scanned by their path, outside scan_paths: add that directory", c.Name, c.Where, c.Dir), exitFound}
	}
	return nil
}

// fileFinding reports a client whose files the running polyclamd cannot read.
func (in *inspection) fileFinding(c migrate.Client) *finding {
	if c.Owner == "" || !in.known {
		return nil
	}
	uid, gid, ok := numbers(c.Owner, c.Group)
	if !ok {
		return nil
	}
	file := access.Entry{Path: filepath.Join(in.root, c.Dir, "*"), UID: uid, GID: gid, Mode: c.Mode & fs.ModePerm}
	denied, err := in.identity.CheckEntry(file, access.Read)
	if err != nil || denied == nil {
		return nil
	}
	return &finding{fmt.Sprintf("%s (%s) has files in %s scanned by their path, and %s cannot read them: %s: %s",
		c.Name, c.Where, c.Dir, who(&in.daemon.Server), denied, denied.Remedy()), exitFound}
}

// numbers returns the numbers of a user and a group. An empty group is the user's own.
func numbers(owner, group string) (uid, gid int, ok bool) {
	u, err := user.Lookup(owner)
	if err != nil {
		return 0, 0, false
	}
	number := u.Gid
	if group != "" {
		g, err := user.LookupGroup(group)
		if err != nil {
			return 0, 0, false
		}
		number = g.Gid
	}
	uid, errUser := strconv.Atoi(u.Uid)
	gid, errGroup := strconv.Atoi(number)
	return uid, gid, errUser == nil && errGroup == nil
}

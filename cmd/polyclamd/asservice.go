package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"polyclam/cmd/internal/listen"
)

// asService returns a command that runs this program with args as the user of
// polyclamd.service, with its groups. It returns false if the service runs as root, or if its user
// does not exist.
func asService(u listen.Units, args []string) (*exec.Cmd, bool) {
	if u.User == "" {
		return nil, false
	}
	owner, err := user.Lookup(u.User)
	if err != nil {
		owner, err = user.LookupId(u.User)
	}
	if err != nil {
		return nil, false
	}
	uid, err := strconv.ParseUint(owner.Uid, 10, 32)
	if err != nil || uid == 0 {
		return nil, false
	}
	group := owner.Gid
	if u.Group != "" {
		group = u.Group
	}
	gid, ok := groupID(group)
	if !ok {
		return nil, false
	}
	names, err := owner.GroupIds()
	if err != nil {
		return nil, false
	}
	program, err := os.Executable()
	if err != nil {
		return nil, false
	}
	credential := &syscall.Credential{Uid: uint32(uid), Gid: gid}
	for _, name := range append(names, u.Groups...) {
		if id, ok := groupID(name); ok {
			credential.Groups = append(credential.Groups, id)
		}
	}
	c := exec.Command(program, args...)
	c.Dir = "/"
	c.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	if u.BindsEveryPort {
		c.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_NET_BIND_SERVICE}
	}
	return c, true
}

// groupID returns the number of a group, given its name or number.
func groupID(name string) (uint32, bool) {
	if g, err := user.LookupGroup(name); err == nil {
		name = g.Gid
	}
	n, err := strconv.ParseUint(name, 10, 32)
	return uint32(n), err == nil
}

// runChecked runs a command and returns its exit status.
func runChecked(c *exec.Cmd) (status int, err error) {
	var exit *exec.ExitError
	switch err := c.Run(); {
	case err == nil:
		return 0, nil
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode(), nil
	default:
		return 0, fmt.Errorf("check as the user of polyclamd.service: %w", err)
	}
}

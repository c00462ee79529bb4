package listen

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"

	"polyclam/backends/access"
	"polyclam/cmd/internal/sockaddr"
)

// A Checker finds out whether sockets could be opened, without opening them. polyclamd --check
// runs before each reload, next to the daemon, and by hand, often as another user and before
// the daemon has ever run. An address is good if
//
//  1. this process could open it now: it can bind to the address (it does not listen), or it
//     may create files in the directory of a Unix socket;
//  2. or the unit polyclamd.socket has it and is active: systemd listens there, and the daemon
//     needs no rights for it. The check does not connect, which would start the service;
//  3. or a polyclamd answers there: it keeps its sockets when it reloads;
//  4. or the service's RuntimeDirectory= will make the missing directory.
//
// There is only a warning if rights are missing and polyclamd.socket has the address but is not
// active; if this user may not connect to the socket that is there; if the program there
// does not answer while systemd says that the daemon runs, which may be busy; or if the
// listener does not answer everyone, see [Options.Guard]. Everything else
// is an error, even a clamd that answers: polyclam does not take its place unasked.
type Checker struct {
	// Systemd asks systemd about polyclamd's units. It is called at most once, and only if
	// the answer matters.
	Systemd func() Units
	// Running says that systemd runs the daemon now.
	Running bool

	units *Units
}

func (c *Checker) systemd() *Units {
	if c.units == nil {
		c.units = &Units{}
		if c.Systemd != nil {
			*c.units = c.Systemd()
		}
	}
	return c.units
}

// PassesSockets reports whether systemd may pass sockets to the daemon: polyclamd.socket has
// some, or the daemon runs already, with whatever it has got.
func (c *Checker) PassesSockets() bool { return c.Running || len(c.systemd().Sockets) > 0 }

// systemdListens reports whether systemd listens at a for polyclamd.
func (c *Checker) systemdListens(a sockaddr.Addr) bool {
	u := c.systemd()
	return u.SocketActive && u.hasSocket(a)
}

// Check returns an error if the daemon could not listen at a, or a warning if that is not
// certain.
func (c *Checker) Check(a sockaddr.Addr, o Options) (warning string, err error) {
	if a.IsTCP() {
		err = c.checkTCP(a)
	} else {
		err = c.checkUnix(a, o)
	}
	var used *inUseError
	var maybe *maybeInUse
	switch {
	case errors.As(err, &used) && o.IsPolyclamd == nil && used.holder == polyclamd:
		return "", nil
	case errors.As(err, &used) && o.IsPolyclamd != nil && o.IsPolyclamd(a.DialTarget()):
		return "", nil
	case errors.As(err, &used) && used.holder == silent && c.Running:
		return fmt.Sprintf("%v; it does not answer, so this may be the running daemon, busy", err), nil
	case errors.As(err, &used) && used.holder != clamd && o.Guard != "":
		return fmt.Sprintf("%v; it may be the running daemon, which the check cannot ask because of %s", err, o.Guard), nil
	case errors.As(err, &maybe) && errors.Is(err, syscall.EACCES):
		return fmt.Sprintf("%v: %s may not connect to it; run the check as the user that polyclamd runs as", err, whoami()), nil
	case lacksRights(err):
		return c.checkUnits(a, err)
	}
	return "", err
}

// lacksRights reports whether systemd could do what err says that this process cannot.
func lacksRights(err error) bool {
	for _, errno := range []error{syscall.ENOENT, syscall.EACCES, syscall.EPERM, syscall.EROFS} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// checkUnits returns what is left of err when systemd starts the daemon.
func (c *Checker) checkUnits(a sockaddr.Addr, err error) (warning string, _ error) {
	u := c.systemd()
	switch {
	case u.hasSocket(a) && u.SocketActive, u.makesDirectory(a):
		return "", nil
	case u.hasSocket(a):
		return fmt.Sprintf("%v; polyclamd.socket has this address, but is not active: systemctl enable --now polyclamd.socket", err), nil
	}
	return "", err
}

func (c *Checker) checkTCP(a sockaddr.Addr) error {
	err := tryTCP(a.TCP())
	if errors.Is(err, syscall.EADDRINUSE) && c.systemdListens(a) {
		return nil
	}
	return explainTCP(a, err)
}

func (c *Checker) checkUnix(a sockaddr.Addr, o Options) error {
	info, err := os.Lstat(a.Path())
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return explainUnix(a.Path(), err)
	case info.Mode().Type() == fs.ModeSocket && c.systemdListens(a):
		return nil
	default:
		var used *inUseError
		err := checkStale(a.Path(), info)
		if errors.As(err, &used) && o.IsPolyclamd == nil && used.holder == polyclamd {
			return checkGroup(o.Group)
		}
		if err != nil {
			return err
		}
	}
	if err := checkDirectory(a.Path(), o.MakeDirectory); err != nil {
		return err
	}
	return checkGroup(o.Group)
}

// checkGroup checks that this process may give a file to a group.
func checkGroup(group int) error {
	if group == NoGroup || os.Geteuid() == 0 || group == os.Getegid() {
		return nil
	}
	groups, err := os.Getgroups()
	if err != nil || slices.Contains(groups, group) {
		return nil
	}
	name := access.GroupName(group)
	return fmt.Errorf("%s is not in the group %s and may not give it the socket: SupplementaryGroups=%s in the unit", whoami(), name, name)
}

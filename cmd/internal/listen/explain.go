package listen

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"polyclam/backends/access"
	"polyclam/cmd/internal/sockaddr"
)

// cause returns the system error in err, if there is one. It lacks the address, which the
// caller adds.
func cause(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

// explainTCP adds to an error of bind(2) what to do about it.
func explainTCP(a sockaddr.Addr, err error) error {
	err = cause(err)
	port := a.TCP().Port()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EADDRINUSE):
		return inUse(a)
	case errors.Is(err, syscall.EACCES) && port < 1024:
		return fmt.Errorf("%w: %s may not use ports below 1024; choose another port, or set AmbientCapabilities=CAP_NET_BIND_SERVICE and CapabilityBoundingSet=CAP_NET_BIND_SERVICE in the unit", err, whoami())
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return fmt.Errorf("%w: a security module forbids port %d; for SELinux see \"semanage port\" and \"ausearch -m avc\"", err, port)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w: this machine does not have the address %s now; write one that \"ip address\" lists, or 0.0.0.0 or [::] for all of them", err, a.TCP().Addr())
	case errors.Is(err, syscall.EAFNOSUPPORT):
		return fmt.Errorf("%w: this machine, or RestrictAddressFamilies= of the unit, does not allow %s", err, family(a))
	}
	return err
}

func family(a sockaddr.Addr) string {
	if a.TCP().Addr().Is4() {
		return "IPv4"
	}
	return "IPv6"
}

// explainUnix adds to an error about the socket at path what to do about it.
func explainUnix(path string, err error) error {
	err = cause(err)
	dir := filepath.Dir(path)
	switch {
	case errors.Is(err, syscall.ENOENT):
		return missingDirectory(dir)
	case errors.Is(err, syscall.EADDRINUSE):
		return errors.New("the socket is in use: another daemon has just created it")
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return fmt.Errorf("%w: %s may not create files in %s; choose another directory, give that one to this user, or let systemd create the socket (ListenStream= in polyclamd.socket)", err, whoami(), dir)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: polyclamd may not write to %s; choose a directory of RuntimeDirectory=, or add ReadWritePaths=%s to the unit, then restart", err, dir, dir)
	}
	return err
}

// missingDirectory is the error of a socket whose directory does not exist.
func missingDirectory(dir string) error {
	unit := ""
	if name, ok := runtimeDirectory(dir); ok {
		unit = "set RuntimeDirectory=" + name + " in the unit, or "
	}
	return &missing{fmt.Sprintf("the directory of the socket, %s, does not exist; %smake it with \"install -d -o USER -g GROUP %s\" for the user that polyclamd runs as", dir, unit, dir)}
}

// missing is ENOENT with an explanation in place of its text.
type missing struct{ text string }

func (e *missing) Error() string { return e.text }

func (e *missing) Unwrap() error { return syscall.ENOENT }

// whoami names the user of this process.
func whoami() string { return "the user " + access.UserName(os.Geteuid()) }

package ops

import (
	"fmt"
	"net"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"
)

// userOf describes the process at the other end of a Unix socket for the log:
// "uid=0 (root), pid=4711".
func userOf(c *conn) string {
	if c == nil {
		return "unknown"
	}
	uc, ok := c.Conn.(*net.UnixConn)
	if !ok {
		return "unknown"
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return "unknown"
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) { cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err != nil || credErr != nil {
		return "unknown"
	}
	name := ""
	if u, err := user.LookupId(strconv.Itoa(int(cred.Uid))); err == nil {
		name = fmt.Sprintf(" (%s)", u.Username)
	}
	return fmt.Sprintf("uid=%d%s, pid=%d", cred.Uid, name, cred.Pid)
}

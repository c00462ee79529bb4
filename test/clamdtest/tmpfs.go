package clamdtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// accountOfTest is the account that runs the test.
func accountOfTest() account { return account{uid: os.Geteuid(), gid: os.Getegid()} }

// onTmpfs returns a command that runs another one as the daemon's user, with a tmpfs on
// TemporaryDirectory in a private mount namespace.
func (d *Clamd) onTmpfs(command []string) []string {
	d.t.Helper()
	RequireRoot(d.t, "mounting a tmpfs for clamd")
	uid, gid := strconv.Itoa(d.account.uid), strconv.Itoa(d.account.gid)
	script := fmt.Sprintf(`mount -t tmpfs -o size=%s,uid=%s,gid=%s none %s && exec "$@"`, d.temp, uid, gid, filepath.Join(d.Dir, "tmp"))
	return append([]string{
		RequireProgram(d.t, "unshare"), "--mount", "sh", "-c", script, "sh",
		RequireProgram(d.t, "setpriv"), "--reuid=" + uid, "--regid=" + gid, "--clear-groups",
	}, command...)
}

// filler is the file that takes the room in TemporaryDirectory.
func (d *Clamd) filler() string {
	return filepath.Join("/proc", strconv.Itoa(d.Pid), "root", d.Dir, "tmp", "filler")
}

// Fill fills clamd's TemporaryDirectory up, which needs Options.TempSize.
func (d *Clamd) Fill() {
	d.t.Helper()
	if d.temp == "" {
		d.t.Fatal("no TempSize: this would fill up the host's disk")
	}
	f, err := os.OpenFile(d.filler(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4<<10))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatal(err)
	}
}

// Empty undoes Fill.
func (d *Clamd) Empty() {
	d.t.Helper()
	if err := os.Remove(d.filler()); err != nil {
		d.t.Fatal(err)
	}
}

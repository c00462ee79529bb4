package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/cmd/internal/access"
	"polyclam/protocol/extended"
	"polyclam/test/testkit"
)

// strangerGroup is a group that no user of the tests is in.
const strangerGroup = 1999999

// TestStatusExplainsPermission checks that status says what keeps the daemon's user from an
// engine's socket, whatever the rights of this tool.
func TestStatusExplainsPermission(t *testing.T) {
	dir := testkit.SocketDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "clamd.ctl")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := os.Chmod(path, 0o660); err != nil {
		t.Fatal(err)
	}
	socket, err := access.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if socket.GID == 0 && os.Geteuid() == 0 { // root's group has another remedy
		if err := os.Chown(path, 0, strangerGroup); err != nil {
			t.Fatal(err)
		}
		socket.GID = strangerGroup
	}
	group := access.GroupName(socket.GID)
	record := func(about extended.About, reason string) string {
		return statusServer(t, extended.Server{About: about}.Record().String()+"\x00status: engine=x address=\"unix:"+path+"\" state=down reason=\""+reason+"\" NODE\x00END\x00")
	}
	stranger := extended.About{User: "polyclam", UID: 1999998, Groups: "polyclam,mail", GIDs: "1999998,8"}
	r := polyclam(t, "", "--address", record(stranger, "connect: permission denied"), "status")
	r.wantStatus(t, exitFailed)
	wantParts(t, r.stdout, "connect: permission denied: polyclamd (polyclam, groups polyclam and mail) may not use it: the socket "+path+" is 0660 "+
		access.UserName(socket.UID)+":"+group+": SupplementaryGroups="+group+" in polyclamd's unit")
	r = polyclam(t, "", "--address", record(stranger, "the socket is 0660 a:b, and polyclamd runs as polyclam"), "status")
	if strings.Contains(r.stdout, "may not use") {
		t.Errorf("it is explained twice: %s", r.stdout)
	}
	for name, about := range map[string]extended.About{
		"root":           {User: "root", GIDs: "0"},
		"an old daemon":  {},
		"strange groups": {UID: 1, GIDs: "1,x"},
	} {
		r := polyclam(t, "", "--address", record(about, "hung"), "status")
		if strings.Contains(r.stdout, "may not use") {
			t.Errorf("%s: %s", name, r.stdout)
		}
	}
}

func TestWho(t *testing.T) {
	for _, c := range []struct{ user, groups, want string }{
		{"", "", "polyclamd"},
		{"p", "p", "polyclamd (p, group p)"},
		{"p", "p,q", "polyclamd (p, groups p and q)"},
		{"p", "p,q,r", "polyclamd (p, groups p, q and r)"},
	} {
		if got := who(&extended.Server{About: extended.About{User: c.user, Groups: c.groups}}); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

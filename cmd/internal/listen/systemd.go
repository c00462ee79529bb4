package listen

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"polyclam/cmd/internal/sockaddr"
)

// Units is what systemd says about polyclamd.socket and polyclamd.service. The zero value
// means that there is no systemd.
type Units struct {
	SocketActive       bool
	Sockets            []sockaddr.Addr // of polyclamd.socket
	RuntimeDirectories []string        // of polyclamd.service, below /run

	// The user and groups of polyclamd.service. An empty User is root, or there is no unit.
	User, Group    string
	Groups         []string
	BindsEveryPort bool // also those below 1024
}

func (u *Units) hasSocket(a sockaddr.Addr) bool { return slices.Contains(u.Sockets, a) }

// makesDirectory reports whether systemd creates the directory of a Unix socket when it starts
// the service.
func (u *Units) makesDirectory(a sockaddr.Addr) bool {
	if a.IsTCP() {
		return false
	}
	name, ok := runtimeDirectory(filepath.Dir(a.Path()))
	return ok && slices.Contains(u.RuntimeDirectories, name)
}

// systemctlTime is how long systemctl may take.
const systemctlTime = 5 * time.Second

// AskSystemd returns what systemd says about polyclamd's units, as far as it answers.
func AskSystemd() Units {
	if _, err := os.Stat("/run/systemd/system"); err != nil { // see sd_booted(3)
		return Units{}
	}
	ctx, cancel := context.WithTimeout(context.Background(), systemctlTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "systemctl", "show", "--no-pager", "polyclamd.socket", "polyclamd.service",
		"--property=Id,ActiveState,Listen,RuntimeDirectory,User,Group,SupplementaryGroups,AmbientCapabilities")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return Units{}
	}
	return parseUnits(string(out))
}

// parseUnits parses the output of systemctl show: one paragraph for each unit.
func parseUnits(text string) Units {
	var u Units
	for unit := range strings.SplitSeq(text, "\n\n") {
		add := u.addService
		if strings.Contains("\n"+unit, "\nId=polyclamd.socket\n") {
			add = u.addSocket
		}
		for line := range strings.Lines(unit) {
			key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			add(key, value)
		}
	}
	return u
}

// addSocket adds a property of polyclamd.socket.
func (u *Units) addSocket(key, value string) {
	switch key {
	case "ActiveState":
		u.SocketActive = value == "active"
	case "Listen":
		if a, ok := parseListen(value); ok {
			u.Sockets = append(u.Sockets, a)
		}
	}
}

// addService adds a property of polyclamd.service.
func (u *Units) addService(key, value string) {
	switch key {
	case "RuntimeDirectory":
		u.RuntimeDirectories = strings.Fields(value)
	case "User":
		u.User = value
	case "Group":
		u.Group = value
	case "SupplementaryGroups":
		u.Groups = strings.Fields(value)
	case "AmbientCapabilities":
		u.BindsEveryPort = slices.Contains(strings.Fields(value), "cap_net_bind_service")
	}
}

// parseListen parses the address of a stream socket as systemd prints it: "/run/x (Stream)" or
// "[::]:3310 (Stream)".
func parseListen(value string) (sockaddr.Addr, bool) {
	address, ok := strings.CutSuffix(value, " (Stream)")
	if !ok {
		return sockaddr.Addr{}, false
	}
	network := "tcp:"
	if strings.HasPrefix(address, "/") {
		network = "unix:"
	}
	a, _, err := sockaddr.Parse(network + address)
	return a, err == nil && a != sockaddr.Addr{}
}

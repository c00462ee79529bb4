package config

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// DefaultName is the Name of the File that [Default] returns.
const DefaultName = "the embedded default"

// ClamdSockets are the paths where distributions put clamd's socket.
var ClamdSockets = []string{
	"/run/clamav/clamd.ctl",      // Debian, Ubuntu, Arch
	"/var/run/clamav/clamd.ctl",  //
	"/run/clamd.scan/clamd.sock", // Fedora, RHEL
	"/var/run/clamd.scan/clamd.sock",
	"/run/clamav/clamd.sock",       // Alpine, openSUSE, containers
	"/var/run/clamav/clamd.sock",   // FreeBSD
	"/run/clamav/clamd.socket",     //
	"/run/clamav/clamd-socket",     // openSUSE of old
	"/var/lib/clamav/clamd.sock",   //
	"/var/lib/clamav/clamd.socket", // Arch of old
	"/tmp/clamd.socket",            // clamd.conf.sample
	"/tmp/clamd.sock",
	"/tmp/clamd",
}

// Default returns the configuration for use without a file: clamd's port on the loopback
// interface, a Unix socket in the runtime directory, the backend inspect, and the
// machine's own clamd if its socket is at one of the usual paths. That clamd is required
// like any other engine: if it is down, no object may pass without it.
//
// The socket's directory may not exist yet.
func Default() *File {
	f := newFile(DefaultName)
	runtime := runtimeDirectory(os.Getenv)
	socket := filepath.Join(runtime, "clamd.sock")
	f.Listeners = []Listener{NewListener("tcp:127.0.0.1:3310"), NewListener("unix:" + socket)}
	if clamd := findClamd(ClamdSockets, socket); clamd != "" {
		e := newEngine("clamav", "clamd")
		e.Addresses = []string{"unix:" + clamd}
		f.Engines = append(f.Engines, e)
	}
	f.Engines = append(f.Engines, newEngine("inspect", inspectBackend))
	f.Admin.Address = adminSocket(runtime)
	f.complete(&report{file: f.Name})
	return f
}

// runtimeDirectory returns the directory for polyclamd's socket: systemd's,
// /run/polyclam, the user's, or one for temporary files.
func runtimeDirectory(getenv func(string) string) string {
	// systemd.exec(5): colons separate several directories.
	if dir, _, _ := strings.Cut(getenv("RUNTIME_DIRECTORY"), ":"); usable(dir) {
		return dir
	}
	if dir := "/run/polyclam"; writable(dir) {
		return dir
	}
	if dir := getenv("XDG_RUNTIME_DIR"); usable(dir) && writable(dir) {
		return filepath.Join(dir, "polyclam")
	}
	return filepath.Join(os.TempDir(), "polyclam-"+strconv.Itoa(os.Getuid()))
}

// spoolDirectory returns the default of the key directory in [spool], for a configuration
// that needs one: "spool" in systemd's StateDirectory=, or where that usually is.
func spoolDirectory(getenv func(string) string) string {
	dir, _, _ := strings.Cut(getenv("STATE_DIRECTORY"), ":")
	if !filepath.IsAbs(dir) {
		dir = "/var/lib/polyclam"
	}
	return filepath.Join(dir, "spool")
}

// usable reports whether dir is short enough for a Unix socket, whose path is limited to
// 107 bytes.
func usable(dir string) bool { return filepath.IsAbs(dir) && len(dir) < 80 }

// writable reports whether this process may create dir, or files in it.
func writable(dir string) bool {
	if _, err := os.Stat(dir); err != nil {
		dir = filepath.Dir(dir)
	}
	return unix.Access(dir, unix.W_OK|unix.X_OK) == nil
}

// findClamd returns the first socket that accepts a connection, else the first that
// exists, else "". It skips polyclamd's own socket, even under another name.
func findClamd(sockets []string, own string) string {
	found := ""
	ownInfo, _ := os.Stat(own)
	for _, path := range sockets {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Type() != fs.ModeSocket {
			continue
		}
		if target, err := filepath.EvalSymlinks(path); err == nil && target == own {
			continue
		}
		if ownInfo != nil && os.SameFile(info, ownInfo) {
			continue
		}
		if nc, err := net.DialTimeout("unix", path, time.Second); err == nil {
			nc.Close()
			return path
		}
		if found == "" {
			found = path
		}
	}
	return found
}

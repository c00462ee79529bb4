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

const inspectBackend = "inspect"

// ClamdSockets are the places where the distributions put clamd's socket.
var ClamdSockets = []string{
	"/run/clamav/clamd.ctl",      // Debian, Ubuntu
	"/var/run/clamav/clamd.ctl",  //
	"/run/clamd.scan/clamd.sock", // Fedora, RHEL
	"/var/run/clamd.scan/clamd.sock",
	"/run/clamav/clamd.sock",       // Alpine, containers
	"/var/run/clamav/clamd.sock",   // FreeBSD
	"/run/clamav/clamd.socket",     //
	"/run/clamav/clamd-socket",     // openSUSE
	"/var/lib/clamav/clamd.sock",   //
	"/var/lib/clamav/clamd.socket", // Arch of old
	"/tmp/clamd.socket",            // clamd.conf.sample
	"/tmp/clamd.sock",
	"/tmp/clamd",
}

// Default returns the configuration that is used when there is no file: the
// port of clamd on the loopback interface, a Unix socket in the runtime
// directory, the backend inspect, and the clamd of this host if its socket is
// in one of the usual places. That clamd is required like any other: a host
// that has one wants it asked, and one that is down must not be passed over.
//
// The directory of the socket may not exist yet.
func Default() *File {
	f := newFile(DefaultName)
	socket := filepath.Join(runtimeDirectory(os.Getenv), "clamd.sock")
	f.Listeners = []Listener{NewListener("tcp:127.0.0.1:3310"), NewListener("unix:" + socket)}
	if clamd := findClamd(ClamdSockets, socket); clamd != "" {
		u := newEngine("clamav", "clamd")
		u.Addresses = []string{"unix:" + clamd}
		f.Engines = append(f.Engines, u)
	}
	f.Engines = append(f.Engines, newEngine("inspect", inspectBackend))
	r := &reader{file: f.Name}
	f.check(r)
	f.Warnings = r.warnings
	return f
}

// runtimeDirectory returns the directory for our socket: systemd's, or
// /run/polyclam, or the user's, or one in the directory for temporary files.
func runtimeDirectory(getenv func(string) string) string {
	// systemd.exec(5): several directories are separated by colons.
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

// usable reports whether a socket in dir has an address that can be used: the
// path of a Unix socket has 107 bytes at most.
func usable(dir string) bool { return filepath.IsAbs(dir) && len(dir) < 80 }

// writable reports whether we may make files in dir, or make dir.
func writable(dir string) bool {
	if _, err := os.Stat(dir); err != nil {
		dir = filepath.Dir(dir)
	}
	return unix.Access(dir, unix.W_OK|unix.X_OK) == nil
}

// findClamd returns the first of the sockets that answers, or else the first
// that exists, or "". Our own socket, by whatever name, is none of them.
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

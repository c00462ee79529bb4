package migrate

import (
	"io/fs"
	"net"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Client is a program on this machine that uses the clamd of clamd.conf, or the polyclam
// that has taken its place.
type Client struct {
	Name    string // for the administrator, for example "rspamd"
	Profile string // of polyclam's listener; see package status
	Where   string // file and line of its configuration
	Address string // as in polyclam's configuration
	// Owner, Group, Dir and Mode describe a file that it has scanned by its path. An empty
	// Owner means that it does not name files of one user.
	Owner, Group, Dir string
	Mode              fs.FileMode
}

// Clients returns the programs that use clamd's address.
func (m *Machine) Clients() (list []Client) {
	for _, c := range m.clients() {
		list = append(list, Client{
			Name: c.name, Profile: c.profile, Where: c.where, Address: c.address,
			Owner: c.user, Group: c.group, Dir: c.dir, Mode: fs.FileMode(c.mode).Perm(),
		})
	}
	return list
}

// AsksClamd returns the line that makes the engine at an address ask the clamd of
// clamd.conf itself, as c-icap may, or "".
func (m *Machine) AsksClamd(address string) string {
	for _, e := range m.engines {
		if e.label == "c-icap" && m.same(e.address, address) {
			return e.unusable
		}
	}
	return ""
}

// ClamdConf is the configuration of a clamd.
type ClamdConf struct{ conf *conf }

// ConfOf returns the configuration of the clamd that listens on an address, also the one
// that "polyclam init" has written. dir is the directory to look in as if it were "/".
func ConfOf(dir, address string) (c ClamdConf, ok bool) {
	m := &Machine{root: root{dir}}
	if m.root.own() {
		m.root.dir = ""
	}
	dirs := []string{moreConfs}
	for _, f := range confFiles {
		if d := path.Dir(f.path); !slices.Contains(dirs, d) {
			dirs = append(dirs, d)
		}
	}
	for _, d := range dirs {
		for _, p := range m.root.list(d, ".conf") {
			data, _, err := m.root.read(p)
			if err != nil {
				continue
			}
			if c := parseConf(p, data); m.root.listensOn(c, address) {
				return ClamdConf{c}, true
			}
		}
	}
	return c, false
}

// listensOn reports whether the clamd of c listens on an address.
func (r root) listensOn(c *conf, address string) bool {
	network, place, _ := strings.Cut(address, ":")
	if network == "unix" {
		o, ok := c.find("LocalSocket")
		return ok && r.real(o.value) == r.real(place)
	}
	host, port, err := net.SplitHostPort(place)
	o, ok := c.find("TCPSocket")
	if err != nil || !ok || o.value != port || !isLoopback(host) {
		return false
	}
	addresses := c.all("TCPAddr")
	return len(addresses) == 0 || slices.ContainsFunc(addresses, func(a option) bool {
		ip := net.ParseIP(a.value)
		return isLoopback(a.value) || ip != nil && ip.IsUnspecified()
	})
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// real returns a path without symbolic links in its directory, as far as that exists.
func (r root) real(p string) string {
	if dir, err := r.resolve(path.Dir(p)); err == nil {
		return path.Join(dir, path.Base(p))
	}
	return filepath.Clean(p)
}

// Path returns the path of the file.
func (c ClamdConf) Path() string { return c.conf.path }

// Enabled reports whether a boolean option is on, and where.
func (c ClamdConf) Enabled(key string) (source string, on bool) {
	o, on := c.conf.enabled(key)
	if !on {
		return "", false
	}
	return c.conf.source(o), true
}

// Bytes returns a size and where it is set. No limit is [math.MaxInt64].
func (c ClamdConf) Bytes(key string) (n int64, source string, given bool) {
	n, o, given := c.conf.bytes(key)
	if !given {
		return 0, "", false
	}
	return n, c.conf.source(o), true
}

// Number returns a number and where it is set.
func (c ClamdConf) Number(key string) (n int64, source string, given bool) {
	n, o, given := c.conf.number(key)
	if !given {
		return 0, "", false
	}
	return n, c.conf.source(o), true
}

// Lines returns the places of all lines with a key.
func (c ClamdConf) Lines(key string) (sources []string) {
	for _, o := range c.conf.all(key) {
		sources = append(sources, c.conf.source(o))
	}
	return sources
}

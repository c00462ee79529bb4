package migrate

// client is a program on this machine that uses clamd's address.
type client struct {
	name    string // for the administrator, for example "rspamd"
	profile string // of polyclam's listener; see package status
	where   string // file and line of its configuration
	address string // of clamd, as in polyclam's configuration
	// file describes a file that the client has scanned by its path, or a zero user if
	// it sends streams or descriptors only. A client such as ProFTPD sends paths of
	// files that belong to any user: then paths is set, and the user is empty.
	user, group, dir string
	mode             uint32
	paths            bool

	listener int    // index of the listener that it uses
	change   string // the line that names another address; %s is the socket's path
	sends    string // what it sends instead of paths
	// bearsClose says that it treats a closed connection as a failure, not as clean.
	bearsClose bool
}

// clients returns the programs that use the clamd that polyclam replaces.
func (m *Machine) clients() []client { return m.users }

// groups returns the supplementary groups that polyclamd's user needs: those of clamd's
// user, clamd's own group, and the groups of the clients' files.
func (m *Machine) groups() []string {
	var names []string
	for _, g := range m.needed {
		names = append(names, g.name)
	}
	return names
}

// tmpfs is a bounded file system in memory for clamd's temporary files.
type tmpfs struct {
	dir  string // where clamd finds it; TemporaryDirectory of clamd's own configuration
	size int64  // bytes
	uid  int    // of clamd's user
	gid  int

	inodes int64
	terms  string // how the size was computed
}

// temporary returns the file system for clamd's temporary files. If there is none, the
// note says why.
func (m *Machine) temporary() (t tmpfs, why string) { return m.planTemporary() }

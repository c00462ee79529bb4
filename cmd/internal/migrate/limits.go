package migrate

import (
	"fmt"
	"math"
)

// alerts are the options by which clamd calls something FOUND that polyclam has
// a category for.
var alerts = []struct {
	category, what string
	keys           []string
}{
	{"encrypted", "what is encrypted", []string{"AlertEncrypted", "AlertEncryptedArchive", "AlertEncryptedDoc"}},
	{"partial", "what was not scanned whole", []string{"AlertExceedsMax"}},
}

// writePolicy keeps clients told FOUND for what clamd told them FOUND.
func (m *Machine) writePolicy(w *writer) {
	w.line("")
	if m.clamd != nil {
		w.line("[policy]")
		w.comment("Clients hear the same name each time, clamd's. \"answer\" saves time where a virus is found:" +
			" then the name is that of the faster engine.")
		w.key("first_virus", `"wait"`)
		w.line("")
	}
	w.line("[policy.actions]")
	for _, a := range alerts {
		m.writeAction(w, a.category, a.what, a.keys)
	}
}

func (m *Machine) writeAction(w *writer, category, what string, keys []string) {
	if m.clamd == nil {
		w.comment("\"quarantine\" to have clients told FOUND for %s.", what)
		w.line(fmt.Sprintf("#%s = \"ok\"", category))
		return
	}
	on := false
	for _, key := range keys {
		if o, ok := m.clamd.conf.enabled(key); ok {
			on = true
			w.comment("%s", m.clamd.conf.source(o))
		}
	}
	if on {
		w.comment("So clients were told FOUND for %s, and still are. \"ok\" lets it pass: then only polyclam's log and its own"+
			" clients tell. The category is wider than clamd's option: it counts what any engine tells.", what)
		w.key(category, `"quarantine"`)
		return
	}
	text := fmt.Sprintf("%s does not set %s: clients are told OK for %s, as clamd told them. ", m.clamd.conf.path, keys[0], what)
	if category == "partial" {
		text += "clamd says OK, too, for files beyond its limits: AlertExceedsMax yes makes it tell, and is recommended. "
	}
	w.comment("%s\"quarantine\" has them told FOUND.", text)
	w.line(fmt.Sprintf("#%s = \"ok\"", category))
}

// writeLimits writes what clamd.conf says of limits. What it leaves out has the
// same default in clamd and in polyclam.
func (m *Machine) writeLimits(w *writer) {
	if m.clamd == nil {
		return
	}
	var inner writer
	m.writeStream(&inner)
	m.writeTimes(&inner)
	if inner.Len() > 0 {
		w.line("")
		w.line("[limits]")
		w.WriteString(inner.String())
	}
}

// writeTimes writes the limits that are numbers.
func (m *Machine) writeTimes(w *writer) {
	c := m.clamd.conf
	for _, l := range []struct {
		key, name string
		text      func(int64) string
		most      int64
		zero      int64 // what 0 means to clamd; 0: what polyclam has nothing for
	}{
		{"CommandReadTimeout", "command_read_timeout", seconds, 24 * 3600, 0},
		{"ReadTimeout", "read_timeout", seconds, 24 * 3600, 0},
		{"MaxDirectoryRecursion", "directory_depth", func(n int64) string { return fmt.Sprint(n) }, 1000, 1000},
	} {
		n, o, ok := c.number(l.key)
		if !ok {
			continue
		}
		switch {
		case n == 0 && l.zero == 0:
			m.note("%s: there is no %s without end; it has its default", c.source(o), l.name)
			continue
		case n == 0:
			n = l.zero
			w.comment("%s: no limit, and %d is the most", c.source(o), l.most)
		case n > l.most:
			n = l.most
			w.comment("%s: %d is the most", c.source(o), l.most)
		default:
			w.comment("%s", c.source(o))
		}
		w.key(l.name, l.text(n))
	}
}

func (m *Machine) writeStream(w *writer) {
	n, o, ok := m.stream()
	if !ok {
		return
	}
	text := m.clamd.conf.source(o)
	switch whole, _, _ := m.clamd.conf.size("StreamMaxLength"); {
	case whole == math.MaxInt64:
		text += ": no limit for clamd, whose library scans nothing of 2 GiB and more; polyclam keeps streams in memory"
	case whole > n:
		text += ": clamd's library scans nothing of 2 GiB and more"
	}
	w.comment("%s", text)
	w.key("stream", sizeText(n))
	if n > defaultTotal/4 {
		w.comment("Room for four such streams; memory that can be swapped out, see [spool] store.")
		w.key("spool_total", sizeText(4*n))
	}
}

// untaken are options of clamd that have no counterpart, or a different one.
var untaken = []struct{ key, reason string }{
	{"MaxConnectionQueueLength", "how many connections wait is the kernel's net.core.somaxconn"},
	{"MaxQueue", "clients above [limits] connections wait in the listener's backlog"},
	{"SendBufTimeout", "[limits] write_timeout is for a whole reply and has its default"},
	{"StreamMinPort", "the STREAM command is gone from clamd since 0.104"},
	{"StreamMaxPort", "the STREAM command is gone from clamd since 0.104"},
	{"MaxScanTime", "it stays with clamd; polyclam gives up after the timeout of the [[engine]]"},
	{"ExcludePath", "polyclam reads files itself, so clamd does not know their paths; see scan_paths"},
	{"VirusEvent", "clamd runs it still, but polyclam hands it content, not paths"},
}

// untakenIf are the same for booleans, if they have that value.
var untakenIf = []struct {
	key    string
	on     bool
	reason string
}{
	{"FollowDirectorySymlinks", true, "polyclam reads files itself; it follows links that are named, and none inside a directory"},
	{"FollowFileSymlinks", true, "polyclam reads files itself; it follows links that are named, and none inside a directory"},
	{"CrossFilesystems", false, "polyclam reads files itself and crosses filesystems"},
	{"AllowAllMatchScan", false, "polyclam takes ALLMATCHSCAN; where clamd refuses it, it tells the first match"},
	{"EnableShutdownCommand", true, "SHUTDOWN is off in polyclam; shutdown_command = true in the [[listener]] allows it"},
	{"EnableStatsCommand", false, "polyclam always tells STATS"},
	{"EnableVersionCommand", false, "polyclam always tells VERSION"},
	{"ArchiveBlockEncrypted", true, "clamd since 0.101 ignores it; AlertEncrypted is its name now"},
}

// noteRest notes what else of clamd.conf is not taken over.
func (m *Machine) noteRest() {
	if m.clamd == nil {
		return
	}
	c := m.clamd.conf
	for _, u := range untaken {
		if o, ok := c.find(u.key); ok {
			m.note("%s: %s", c.source(o), u.reason)
		}
	}
	for _, u := range untakenIf {
		o, on := c.enabled(u.key)
		if given := o.line > 0; given && on == u.on {
			m.note("%s: %s", c.source(o), u.reason)
		}
	}
	for _, p := range c.problems {
		m.note("%s", p.String())
	}
}

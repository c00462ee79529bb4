package migrate

import (
	"fmt"
	"math"
)

// alerts are the options that make clamd say FOUND where polyclam has a separate
// category.
var alerts = []struct {
	category, what string
	keys           []string
}{
	{"encrypted", "encrypted objects", []string{"AlertEncrypted", "AlertEncryptedArchive", "AlertEncryptedDoc"}},
	{"partial", "objects that were not scanned completely", []string{"AlertExceedsMax"}},
}

// writePolicy makes polyclam answer FOUND where clamd did.
func (m *Machine) writePolicy(w *writer) {
	w.line("")
	if m.clamd != nil {
		w.line("[policy]")
		w.comment("With \"wait\", clients always hear clamd's name for a virus. \"answer\" is faster, but the name is that of" +
			" the fastest engine.")
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
		w.comment("Write \"quarantine\" if clients should hear FOUND for %s.", what)
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
		w.comment("With this option clients heard FOUND for %s, and still do. \"ok\" lets them pass; then only polyclam's log and its"+
			" own clients show them. The category covers more than clamd's option: it counts the results of all engines.", what)
		w.key(category, `"quarantine"`)
		return
	}
	text := fmt.Sprintf("%s does not set %s: clients hear OK for %s, as they did from clamd. ", m.clamd.conf.path, keys[0], what)
	if category == "partial" {
		text += "clamd also says OK for files beyond its limits; AlertExceedsMax yes makes it report them, and is recommended. "
	}
	w.comment("%sWrite \"quarantine\" if they should hear FOUND.", text)
	w.line(fmt.Sprintf("#%s = \"ok\"", category))
}

// writeLimits writes the limits in clamd.conf. The others have the same default in clamd
// and in polyclam.
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

// writeTimes writes the timeouts and the depth of directories.
func (m *Machine) writeTimes(w *writer) {
	c := m.clamd.conf
	for _, l := range []struct {
		key, name string
		text      func(int64) string
		most      int64
		zero      int64 // for 0, which is no limit; 0: polyclam has no such value
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
			m.note("%s: %s cannot be unlimited; it has its default", c.source(o), l.name)
			continue
		case n == 0:
			n = l.zero
			w.comment("%s: no limit; the largest value is %d", c.source(o), l.most)
		case n > l.most:
			n = l.most
			w.comment("%s: the largest value is %d", c.source(o), l.most)
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
	switch whole, _, _ := m.clamd.conf.bytes("StreamMaxLength"); {
	case whole == math.MaxInt64:
		text += ": no limit, but clamd scans nothing of 2 GiB or more; polyclam keeps streams in memory"
	case whole > n:
		text += ": clamd scans nothing of 2 GiB or more"
	}
	w.comment("%s", text)
	w.key("stream", sizeText(n))
	if n > defaultTotal/4 {
		w.comment("Enough for four such streams; this memory can be swapped out, see store in [spool].")
		w.key("spool_total", sizeText(4*n))
	}
}

// unsupported are clamd options without an exact counterpart.
var unsupported = []struct{ key, reason string }{
	{"MaxConnectionQueueLength", "the kernel limits waiting connections, by net.core.somaxconn"},
	{"MaxQueue", "clients beyond limits.connections wait in the listener's backlog"},
	{"SendBufTimeout", "limits.write_timeout is for a whole reply and has its default"},
	{"StreamMinPort", "clamd has no STREAM command since 0.104"},
	{"StreamMaxPort", "clamd has no STREAM command since 0.104"},
	{"MaxScanTime", "clamd keeps it; polyclam gives up after timeout of the [[engine]]"},
	{"ExcludePath", "polyclam opens files itself, so clamd does not see their paths: files that clamd left out are scanned now. scan_paths in config.toml limits path commands to some directories"},
}

// unsupportedIf are boolean options that have no exact counterpart when set to on.
var unsupportedIf = []struct {
	key    string
	on     bool
	reason string
}{
	{"FollowDirectorySymlinks", true, "polyclam reads files itself; it follows a link that a client names, but none inside a directory"},
	{"FollowFileSymlinks", true, "polyclam reads files itself; it follows a link that a client names, but none inside a directory"},
	{"CrossFilesystems", false, "polyclam reads files itself and crosses filesystems"},
	{"AllowAllMatchScan", false, "polyclam accepts ALLMATCHSCAN; where clamd refuses it, it reports the first match"},
	{"EnableShutdownCommand", true, "SHUTDOWN is off in polyclam; shutdown_command = true in the [[listener]] allows it"},
	{"EnableStatsCommand", false, "polyclam always answers STATS"},
	{"EnableVersionCommand", false, "polyclam always answers VERSION"},
	{"ArchiveBlockEncrypted", true, "clamd ignores it since 0.101; its name is AlertEncrypted now"},
}

// noteRest notes all other unused options of clamd.conf.
func (m *Machine) noteRest() {
	if m.clamd == nil {
		return
	}
	c := m.clamd.conf
	for _, u := range unsupported {
		if o, ok := c.find(u.key); ok {
			m.note("%s: %s", c.source(o), u.reason)
		}
	}
	for _, u := range unsupportedIf {
		o, on := c.enabled(u.key)
		if given := o.line > 0; given && on == u.on {
			m.note("%s: %s", c.source(o), u.reason)
		}
	}
	for _, p := range c.problems {
		m.note("%s", p.String())
	}
}

package migrate

import (
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"

	"polyclam/cmd/internal/size"
)

// temporaryDir is where clamd gets a private tmpfs. Debian's AppArmor profile allows
// clamd this directory, and clamd opens no files of clients there any more: polyclam
// passes it descriptors and streams.
const temporaryDir = "/tmp"

// databaseMemory is what clamd needs for a second copy of the official signatures while
// it reloads them, with some reserve.
const databaseMemory = 3 << 29

// option is the value of TemporaryFileSystem= in the drop-in for clamd's unit.
func (t tmpfs) option() string {
	return fmt.Sprintf("%s:size=%d,nr_inodes=%d,mode=0700,uid=%d,gid=%d,nosuid,nodev,noexec", t.dir, t.size, t.inodes, t.uid, t.gid)
}

// comment explains the file system to the administrator.
func (t tmpfs) comment() string {
	return fmt.Sprintf("clamd's temporary files are in memory, at most %s: room for a scan in each thread that unpacks as much as MaxScanSize and MaxFileSize allow (%s)."+
		" It must not be smaller: clamd 1.4.6 says OK to a mail whose attachment it cannot unpack because the file system is full.", size.FormatClamd(t.size), t.terms)
}

// planTemporary chooses the file system for clamd's temporary files. It is either large
// enough for the worst case or not there at all: a full one makes clamd 1.4.6 say OK to
// mails that it did not unpack, and the test file of a health check is still found.
func (m *Machine) planTemporary() (t tmpfs, why string) {
	none := func(format string, args ...any) (tmpfs, string) { return tmpfs{}, fmt.Sprintf(format, args...) }
	if m.clamd == nil || m.clamd.moved {
		return none("clamd does not get a configuration of its own")
	}
	if !m.hasSystemd() || m.service().unit == "" && !m.isTemplate() {
		return none("only systemd gives clamd a file system of its own")
	}
	if m.hasSELinux() {
		return none("SELinux may not let clamd write to it")
	}
	now := m.temporaryDirectory()
	if m.root.filesystem(now) == "tmpfs" {
		return none("%s is a tmpfs already", now)
	}
	if o, on := m.clamd.conf.enabled("LeaveTemporaryFiles"); on {
		return none("%s: clamd would fill it", m.clamd.conf.source(o))
	}
	if why := m.hidden(); why != "" {
		return none("%s", why)
	}
	user := m.clamdAccount()
	if user.uid < 0 {
		return none("there is no user %s in /etc/passwd", user.name)
	}
	need, threads, terms, ok := m.temporaryNeed()
	if !ok {
		return none("%s, so no size is enough", terms)
	}
	if why := m.memoryFor(need, threads, terms); why != "" {
		return none("%s", why)
	}
	return tmpfs{dir: temporaryDir, size: need, inodes: m.temporaryInodes(), terms: terms, uid: user.uid, gid: user.gid}, ""
}

func (m *Machine) isTemplate() bool {
	_, ok := m.template()
	return ok
}

// hasSELinux reports whether SELinux is in use.
func (m *Machine) hasSELinux() bool {
	if m.root.own() {
		return m.root.exists("/sys/fs/selinux/enforce")
	}
	return m.root.exists("/etc/selinux/config") && m.root.shellValue("SELINUX", "/etc/selinux/config") != "disabled"
}

// temporaryDirectory is where clamd has its temporary files now.
func (m *Machine) temporaryDirectory() string {
	if o, ok := m.clamd.conf.find("TemporaryDirectory"); ok {
		return o.value
	}
	return "/tmp"
}

// hidden reports what of clamd a file system on temporaryDir would hide.
func (m *Machine) hidden() string {
	for _, key := range []string{"LocalSocket", "PidFile", "LogFile", "DatabaseDirectory"} {
		if o, ok := m.clamd.conf.find(key); ok && strings.HasPrefix(path.Clean(o.value), temporaryDir+"/") {
			return fmt.Sprintf("%s: the file system would hide it", m.clamd.conf.source(o))
		}
	}
	unit := m.clamdUnit()
	for _, key := range []string{"PrivateTmp", "TemporaryFileSystem", "RootDirectory", "RootImage"} {
		if _, lines := m.root.unitLines(unit, key); len(lines) > 0 && lines[len(lines)-1] != "no" && lines[len(lines)-1] != "false" {
			return fmt.Sprintf("%s has %s=%s", unit, key, lines[len(lines)-1])
		}
	}
	return ""
}

// temporaryNeed returns what all threads together can unpack. Measured with clamd 1.4.6,
// a scan has up to MaxScanSize and one more file on disk at a time: a member counts after
// it was unpacked. A stream adds a copy of itself. ForceToDisk adds a copy of each member.
func (m *Machine) temporaryNeed() (need, threads int64, terms string, ok bool) {
	threads, _, given := m.clamd.conf.number("MaxThreads")
	if !given || threads < 1 {
		threads = 10
	}
	each := int64(0)
	var parts []string
	for _, p := range []struct {
		key    string
		usual  int64
		factor int64
	}{
		{"MaxScanSize", 400 << 20, 1 + m.ifOn("ForceToDisk")},
		{"MaxFileSize", 100 << 20, 1},
		{"StreamMaxLength", 100 << 20, m.ifOverPort()},
	} {
		n, advised := m.advisedBytes(p.key, p.usual)
		if p.factor == 0 {
			continue
		}
		if n > math.MaxUint32 {
			return 0, 0, p.key + " has no limit", false
		}
		text := p.key + " " + size.FormatClamd(n)
		if advised {
			text += " as recommended"
		}
		if p.factor > 1 {
			text = fmt.Sprintf("%d × %s", p.factor, text)
		}
		each += n * p.factor
		parts = append(parts, text)
	}
	const unit = 1 << 20
	need = (threads*each + unit - 1) / unit * unit
	return need, threads, fmt.Sprintf("MaxThreads %d × (%s)", threads, strings.Join(parts, " + ")), true
}

func (m *Machine) ifOn(key string) int64 {
	if _, on := m.clamd.conf.enabled(key); on {
		return 1
	}
	return 0
}

func (m *Machine) ifOverPort() int64 {
	if m.overPort() {
		return 1
	}
	return 0
}

// advisedBytes returns the value of a size in clamd's own configuration, to which the
// advice is applied.
func (m *Machine) advisedBytes(key string, usual int64) (n int64, advised bool) {
	n, _, ok := m.clamd.conf.bytes(key)
	if !ok {
		n = usual
	}
	for _, a := range m.advice() {
		for _, line := range a.lines {
			if k, v, _ := strings.Cut(line, " "); k == key {
				if better, ok := parseSize(v); ok {
					return max(n, better), better > n
				}
			}
		}
	}
	return n, false
}

// temporaryInodes is the number of files and directories. clamd says OK to everything
// when there is none left. systemd's default is 400,000.
func (m *Machine) temporaryInodes() int64 {
	files, _, ok := m.clamd.conf.number("MaxFiles")
	if !ok || files == 0 {
		files = 10_000
	}
	threads, _, ok := m.clamd.conf.number("MaxThreads")
	if !ok || threads < 1 {
		threads = 10
	}
	return max(400_000, 3*files*threads)
}

// memoryShare is the largest part of the memory that the file system may take. It takes
// none while it is empty, but what fills it cannot be given back to others.
const memoryShare = 4

// memoryFor says why there is not enough memory, or nothing.
func (m *Machine) memoryFor(need, threads int64, terms string) string {
	total, available, ok := m.root.memory()
	if !ok {
		return "the machine's memory is not known"
	}
	text := fmt.Sprintf("it needs %s of memory for the worst case, %s", size.FormatClamd(need), terms)
	// Beside it, polyclamd's spool and a reload of the signatures must have room.
	left := available - min(defaultTotal, available/2)
	reserve := int64(databaseMemory)
	if _, off := m.clamd.conf.disabled("ConcurrentDatabaseReload"); off && m.answers(m.clamd) {
		reserve = 0
	}
	left = max(0, left-reserve)
	switch most := min(left, total/memoryShare); {
	case need > left:
		return fmt.Sprintf("%s; of the %s available, %s is left beside polyclamd's spool and a reload of the signatures; %s",
			text, mebibytes(available), mebibytes(left), smaller(most, need/threads))
	case need > most:
		return fmt.Sprintf("%s, more than a quarter of the machine's %s; %s", text, mebibytes(total), smaller(most, need/threads))
	}
	for _, key := range []string{"MemoryMax", "MemoryHigh", "MemoryLimit"} {
		_, lines := m.root.unitLines(m.clamdUnit(), key)
		if len(lines) == 0 || lines[len(lines)-1] == "infinity" {
			continue
		}
		limit, ok := parseSize(lines[len(lines)-1])
		if !ok || limit < need+2*databaseMemory {
			return fmt.Sprintf("%s, and %s has %s=%s", text, m.clamdUnit(), key, lines[len(lines)-1])
		}
	}
	return ""
}

// smaller says what would fit into memory.
func smaller(most, each int64) string {
	if n := most / each; n > 0 {
		return fmt.Sprintf("MaxThreads %d would fit", n)
	}
	return "not even MaxThreads 1 would fit"
}

// clamdUnit is the unit that starts clamd.
func (m *Machine) clamdUnit() string {
	if m.isTemplate() {
		return "clamd@.service"
	}
	return m.service().unit
}

func mebibytes(n int64) string { return size.FormatClamd(n >> 20 << 20) }

// memory returns the total and the available memory.
func (r root) memory() (total, available int64, ok bool) {
	data, _, err := r.read("/proc/meminfo")
	if err != nil {
		return 0, 0, false
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		f := strings.Fields(line)
		if len(f) != 3 || f[2] != "kB" {
			continue
		}
		n, err := strconv.ParseInt(f[1], 10, 42)
		if err != nil {
			continue
		}
		switch f[0] {
		case "MemTotal:":
			total = n << 10
		case "MemAvailable:":
			available = n << 10
		}
	}
	return total, available, total > 0 && available > 0
}

// filesystem returns the type of the file system of a directory; empty: unknown.
func (r root) filesystem(dir string) (kind string) {
	real, err := r.resolve(dir)
	if err != nil {
		return ""
	}
	data, _, err := r.read("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	longest := 0
	for line := range strings.SplitSeq(string(data), "\n") {
		// "36 35 98:0 /root /mount/point options - type source options"
		left, right, ok := strings.Cut(line, " - ")
		f := strings.Fields(left)
		if !ok || len(f) < 5 {
			continue
		}
		if at := strings.TrimSuffix(f[4], "/"); len(at) >= longest && (real == at || strings.HasPrefix(real, at+"/")) {
			longest = len(at)
			kind, _, _ = strings.Cut(right, " ")
		}
	}
	return kind
}

// lookTemporary adds a row about clamd's temporary files.
func (m *Machine) lookTemporary() {
	if m.clamd == nil {
		return
	}
	where := m.temporaryDirectory()
	t, why := m.planTemporary()
	used := "yes: " + size.FormatClamd(t.size) + " in memory"
	if why != "" {
		used = "no: unchanged: " + why
	}
	m.row("temporary files", where, "clamd unpacks there; in memory it is faster", used)
}

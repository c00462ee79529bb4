package migrate

import (
	"path"
	"regexp"
	"strings"
)

// apparmorProfiles are the paths of clamd's profile; Debian's package has the first.
var apparmorProfiles = []string{"/etc/apparmor.d/usr.sbin.clamd"}

// apparmorRule is a line that allows access to paths.
type apparmorRule struct {
	match *regexp.Regexp
	allow string // letters: r, w, k, m and others
}

// profile reads the rules of an AppArmor profile and of its includes from the directory
// "local". It skips abstractions, which mention neither clamd's files nor its sockets.
func (r root) profile(file string) ([]apparmorRule, error) {
	data, _, err := r.read(file)
	if err != nil {
		return nil, err
	}
	var rules []apparmorRule
	for line := range strings.SplitSeq(string(data), "\n") {
		f := strings.Fields(line)
		if len(f) >= 2 && strings.TrimPrefix(f[0], "#") == "include" {
			if name := strings.Trim(f[len(f)-1], `<>"`); strings.HasPrefix(name, "local/") {
				local, _ := r.profile(path.Join("/etc/apparmor.d", name)) // it need not exist
				rules = append(rules, local...)
			}
			continue
		}
		if rule, ok := parseRule(f); ok {
			rules = append(rules, rule)
		}
	}
	return rules, nil
}

// parseRule reads "[owner] PATH MODES,".
func parseRule(f []string) (apparmorRule, bool) {
	if len(f) > 0 && f[0] == "owner" {
		f = f[1:]
	}
	if len(f) < 2 || !strings.ContainsAny(f[0][:1], `/@{"`) || !strings.HasSuffix(f[1], ",") {
		return apparmorRule{}, false
	}
	glob := apparmorVariables.Replace(strings.Trim(f[0], `"`))
	if strings.Contains(glob, "@{") {
		return apparmorRule{}, false // contains a site-specific variable
	}
	re, err := regexp.Compile(globExpression(glob))
	if err != nil {
		return apparmorRule{}, false
	}
	return apparmorRule{re, strings.TrimSuffix(f[1], ",")}, true
}

// apparmorVariables are the variables in clamd's profile, with their values in
// tunables/global.
var apparmorVariables = strings.NewReplacer("@{PROC}", "/proc", "@{HOME}", "{/home/*,/root}", "@{run}", "{/run,/var/run}")

// globExpression turns a pattern of apparmor.d(5) into a regular expression.
func globExpression(glob string) string {
	var b strings.Builder
	b.WriteString("^")
	depth := 0
	for len(glob) > 0 {
		n := 1
		switch c := glob[0]; {
		case strings.HasPrefix(glob, "**"):
			n = 2
			b.WriteString(".*")
		case c == '*':
			b.WriteString("[^/]*")
		case c == '?':
			b.WriteString("[^/]")
		case c == '{':
			depth++
			b.WriteString("(?:")
		case c == '}' && depth > 0:
			depth--
			b.WriteString(")")
		case c == ',' && depth > 0:
			b.WriteString("|")
		case c == '[' || c == ']' || c == '^' || c == '-':
			b.WriteByte(c)
		default:
			b.WriteString(regexp.QuoteMeta(glob[:1]))
		}
		glob = glob[n:]
	}
	b.WriteString("$")
	return b.String()
}

// allows reports whether the rules allow access, such as "r", to a path.
func allows(rules []apparmorRule, file, letter string) bool {
	for _, r := range rules {
		if strings.Contains(r.allow, letter) && r.match.MatchString(file) {
			return true
		}
	}
	return false
}

// Lines around what the scripts add to the local part of a profile.
const (
	apparmorBegin   = "# polyclam: begin"
	apparmorCreated = "# polyclam created this file"
	apparmorEnd     = "# polyclam: end"
)

// scriptAppArmor writes what clamd's profile lacks for the new addresses.
func (m *Machine) scriptAppArmor(h *head) {
	profile, lacks := m.apparmorLacks()
	local := ""
	if profile != "" {
		local = "/etc/apparmor.d/local/" + path.Base(profile)
	}
	h.set("APPARMOR_PROFILE", profile)
	h.set("APPARMOR_LOCAL", local)
	h.set("APPARMOR_LINES", strings.Join(lacks, "\n"))
	h.set("APPARMOR_BEGIN", apparmorBegin)
	h.set("APPARMOR_CREATED", apparmorCreated)
	h.set("APPARMOR_END", apparmorEnd)
}

// apparmorLacks returns clamd's profile, or "", and the lines that it lacks.
func (m *Machine) apparmorLacks() (profile string, lacks []string) {
	need := []struct{ file, letters string }{
		{m.EngineConf(), "r"},
		{migration + "/bridge.conf", "r"},
		{migration + "/clamd/bridge.ctl", "w"},
	}
	for _, l := range m.clamd.listeners {
		if l.unix() {
			socket := strings.TrimPrefix(l.address, "unix:")
			need[2].file = bridgeName(socket)
		}
	}
	if socket, ok := strings.CutPrefix(m.clamd.engine, "unix:"); ok {
		need = append(need, struct{ file, letters string }{socket, "w"})
	}
	if t, _ := m.temporary(); t.dir != "" {
		need = append(need, struct{ file, letters string }{t.dir + "/", "rw"}, struct{ file, letters string }{t.dir + "/**", "krw"})
	}
	for _, file := range apparmorProfiles {
		rules, err := m.root.profile(file)
		if err != nil {
			continue
		}
		for _, n := range need {
			if !allowsAll(rules, strings.ReplaceAll(n.file, "**", "x/y"), n.letters) {
				lacks = append(lacks, apparmorPath(n.file)+" "+n.letters+",")
			}
		}
		return file, lacks
	}
	return "", nil
}

func allowsAll(rules []apparmorRule, file, letters string) bool {
	for _, l := range letters {
		if !allows(rules, file, string(l)) {
			return false
		}
	}
	return true
}

// apparmorPath quotes a path for a profile. Its last part may be "**".
func apparmorPath(s string) string {
	stem, all := strings.CutSuffix(s, "/**")
	stem = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`, "{", `\{`, "}", `\}`, "^", `\^`, "@", `\@`).Replace(stem)
	if all {
		stem += "/**"
	}
	if strings.ContainsAny(stem, " \t\"") {
		return `"` + stem + `"`
	}
	return stem
}

package migrate

import (
	"regexp"
	"strings"
)

// mention is a place in a client's configuration that names a clamd.
type mention struct {
	line    int
	address string // as in polyclam's configuration; empty: that of clamdConf
	paths   bool   // the client names files by their path over this address
	// clamdConf is the clamd.conf of a client that runs clamdscan.
	clamdConf string
}

// maxMentions limits the places in one file.
const maxMentions = 100

// perlCode blanks comments and documentation in Perl, and keeps all line breaks.
func perlCode(data string) string {
	var b strings.Builder
	pod, end := false, false
	for line := range strings.Lines(data) {
		text := strings.TrimRight(line, "\r\n")
		switch {
		case end:
			text = ""
		case pod:
			pod = !strings.HasPrefix(text, "=cut")
			text = ""
		case len(text) > 1 && text[0] == '=' && 'a' <= text[1] && text[1] <= 'z':
			pod, text = true, ""
		case text == "__END__", text == "__DATA__":
			end, text = true, ""
		default:
			text = text[:perlComment(text)]
		}
		b.WriteString(text)
		b.WriteByte('\n')
	}
	return b.String()
}

// perlComment returns where a line's comment begins, or the length of the line. A "#" in
// quotes, or within a word like qr/#/, begins none.
func perlComment(line string) int {
	quote := byte(0)
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '#' && (i == 0 || strings.IndexByte(" \t;,)(]", line[i-1]) >= 0):
			return i
		}
	}
	return len(line)
}

// lineAt returns the number of the line at an offset.
func lineAt(text string, offset int) int { return 1 + strings.Count(text[:offset], "\n") }

// firstGroup returns the first group of a match that is not empty.
func firstGroup(text string, match []int, groups ...int) string {
	for _, g := range groups {
		if match[2*g] >= 0 && match[2*g] < match[2*g+1] {
			return text[match[2*g]:match[2*g+1]]
		}
	}
	return ""
}

const perlString = `(?:"([^"\n]*)"|'([^'\n]*)')`

var (
	amavisDaemon  = regexp.MustCompile(`ask_daemon\s*,\s*\[\s*` + perlString + `\s*,\s*\[?\s*` + perlString)
	amavisProgram = regexp.MustCompile(`['"](?:\S*/)?clamdscan['"]\s*,\s*` + perlString)
)

// readAmavis reads the entries of @av_scanners that ask a clamd.
func readAmavis(data string) (list []mention) {
	code := perlCode(data)
	for _, at := range amavisDaemon.FindAllStringSubmatchIndex(code, maxMentions) {
		command, server := firstGroup(code, at, 1, 2), firstGroup(code, at, 3, 4)
		_, streams := strings.CutPrefix(server, "clamd:")
		if !streams && !strings.Contains(command, "SCAN") {
			continue // Sophie and others
		}
		if address, ok := addressOf(server, "clamd:"); ok {
			list = append(list, mention{line: lineAt(code, at[0]), address: address, paths: !streams})
		}
	}
	for _, at := range amavisProgram.FindAllStringSubmatchIndex(code, maxMentions) {
		options := firstGroup(code, at, 1, 2)
		list = append(list, mention{line: lineAt(code, at[0]), clamdConf: clamdscanConf(options), paths: !passesFiles(options)})
	}
	return list
}

var configOption = regexp.MustCompile(`(?:--config-file[= ]|(?:^|\s)-c\s+)(\S+)`)

// clamdscanConf returns the clamd.conf that clamdscan's options name, or the usual one.
func clamdscanConf(options string) string {
	if f := configOption.FindStringSubmatch(options); f != nil {
		return f[1]
	}
	return confFiles[0].path
}

// passesFiles reports whether clamdscan sends streams or descriptors.
func passesFiles(options string) bool {
	return strings.Contains(options, "--stream") || strings.Contains(options, "--fdpass")
}

var (
	defangSocket  = regexp.MustCompile(`\$ClamdSock\s*=\s*` + perlString)
	defangCall    = regexp.MustCompile(`(?:message|entity)_contains_virus_clamd\s*\([^")'\n]*` + perlString)
	defangFeature = regexp.MustCompile(`\$Features\{\s*['"]?(Virus:CLAMD|Virus:CLAMDSCAN|Path:CLAMDCONF)['"]?\s*\}\s*=\s*([^;\n]*)`)
	// defangBuilt is how mimedefang.pl has what was found when it was built.
	defangBuilt = regexp.MustCompile(`^\(\s*'([^']*)'\s+ne\s+'/bin/false'`)
)

// defang is what MIMEDefang's files say about clamd.
type defang struct {
	socket, call  mention // of $ClamdSock, and of a call that names another socket
	daemon        mention // where 'Virus:CLAMD' is set; line 0: nowhere
	on            bool    // 'Virus:CLAMD'
	program, conf string  // of clamdscan
	programLine   int
}

// readDefang reads a file of MIMEDefang: the program with its defaults, mimedefang.pl.conf
// or the filter. Later settings replace earlier ones.
func (d *defang) read(data string) (changed struct{ socket, call, daemon, program bool }) {
	code := perlCode(data)
	for _, at := range defangSocket.FindAllStringSubmatchIndex(code, maxMentions) {
		if address, ok := addressOf(firstGroup(code, at, 1, 2)); ok {
			d.socket = mention{line: lineAt(code, at[0]), address: address, paths: true}
			changed.socket = true
		}
	}
	for _, at := range defangCall.FindAllStringSubmatchIndex(code, maxMentions) {
		if address, ok := addressOf(firstGroup(code, at, 1, 2)); ok {
			d.call = mention{line: lineAt(code, at[0]), address: address, paths: true}
			changed.call = true
		}
	}
	for _, at := range defangFeature.FindAllStringSubmatchIndex(code, maxMentions) {
		key, value := code[at[2]:at[3]], strings.TrimSpace(code[at[4]:at[5]])
		if built := defangBuilt.FindStringSubmatch(value); built != nil {
			value = "'" + built[1] + "'"
		}
		value = strings.Trim(value, `'"`)
		if value == "/bin/false" || value == "undef" || value == "0" {
			value = ""
		}
		switch key {
		case "Virus:CLAMD":
			d.on, d.daemon = value != "", mention{line: lineAt(code, at[0])}
			changed.daemon = true
		case "Virus:CLAMDSCAN":
			d.program, d.programLine = value, lineAt(code, at[0])
			changed.program = true
		case "Path:CLAMDCONF":
			d.conf = value
		}
	}
	return changed
}

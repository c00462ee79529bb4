package status

import (
	"regexp"
	"strings"
)

// reading is how a client reads a reply.
type reading string

const (
	readClean    reading = "clean"
	readInfected reading = "infected"
	readError    reading = "error" // deferred, refused, exception
	readNothing  reading = "nothing, and the object passes"
)

// client is the code of a real client that reads a reply, rewritten. It gets the line
// without its terminator.
type client struct {
	name string
	read func(line string) reading
	// failsOpen: the object passes on any ERROR line. Such a client needs another error
	// style.
	failsOpen bool
	// wantsBareOK: it does not read an annotated OK line as clean.
	wantsBareOK bool
	// streamOnly: it never names a path.
	streamOnly bool
}

func lastWord(s string) string { return s[strings.LastIndexByte(s, ' ')+1:] }

// suffixes reads by the end of the line, as many libraries do.
func suffixes(line, ok, found, failed string, other reading) reading {
	switch {
	case strings.HasSuffix(line, found):
		return readInfected
	case strings.HasSuffix(line, failed):
		return readError
	case strings.HasSuffix(line, ok):
		return readClean
	}
	return other
}

// expressions reads with three regular expressions in turn.
func expressions(ok, found, failed string, other reading) func(string) reading {
	okRE, foundRE := regexp.MustCompile(ok), regexp.MustCompile(found)
	failedRE := regexp.MustCompile(failed)
	return func(line string) reading {
		switch {
		case foundRE.MatchString(line):
			return readInfected
		case failedRE.MatchString(line):
			return readError
		case okRE.MatchString(line):
			return readClean
		}
		return other
	}
}

// statusGroup reads the group "status" of an expression that must match.
func statusGroup(expr string) func(string) reading {
	re := regexp.MustCompile(expr)
	return func(line string) reading {
		m := re.FindStringSubmatch(line)
		if m == nil {
			return readError
		}
		return suffixes(m[re.SubexpIndex("status")], "OK", "FOUND", "ERROR", readError)
	}
}

var clients = []client{
	{name: "clamdscan", read: func(l string) reading {
		if !strings.Contains(l, ":") {
			return readError
		}
		return suffixes(l, "", " FOUND", " ERROR", readClean)
	}},
	{name: "clamav-milter", wantsBareOK: true, streamOnly: true, read: func(l string) reading {
		if len(l)+1 > 128 {
			return readError
		}
		return suffixes(l, ": OK", " FOUND", " ERROR", readError)
	}},
	{name: "MIMEDefang", read: mimedefang},
	{name: "amavis", read: expressions(`(?m)\bOK$`, `(?m)\bFOUND$`, `$^`, readError)},
	{name: "rspamd", failsOpen: true, wantsBareOK: true, streamOnly: true, read: func(l string) reading {
		switch {
		case l == "stream: OK":
			return readClean
		case rspamdFound.MatchString(l):
			return readInfected
		}
		return readNothing
	}},
	{name: "Exim", read: func(l string) reading {
		_, rest, ok := strings.Cut(l, ":")
		if !ok || len(l) >= 1023 || !strings.Contains(rest, " ") {
			return readError
		}
		switch lastWord(rest) {
		case "OK":
			return readClean
		case "FOUND":
			if strings.TrimSpace(strings.TrimSuffix(rest, "FOUND")) == "" {
				return readError
			}
			return readInfected
		}
		return readError
	}},
	{name: "Haraka", wantsBareOK: true, streamOnly: true, read: func(l string) reading {
		switch {
		case strings.HasPrefix(l, "stream: OK"):
			return readClean
		case harakaFound.MatchString(l):
			return readInfected
		case strings.Contains(l, "size limit exceeded"):
			return readClean
		}
		return readError
	}},
	{name: "File::Scan::ClamAV stream", wantsBareOK: true, streamOnly: true, read: func(l string) reading {
		switch {
		case strings.HasPrefix(l, "stream: OK"):
			return readClean
		case fileScanFound.MatchString(l):
			return readInfected
		}
		return readError
	}},
	{name: "ClamAV::Client", wantsBareOK: true, read: func(l string) reading {
		m := perlClient.FindStringSubmatch(l)
		switch {
		case m == nil:
			return readError
		case m[2] == "":
			return readClean
		}
		return readInfected
	}},
	{name: "clamsmtp", read: func(l string) reading {
		return suffixes(" "+strings.ToUpper(lastWord(l)), " OK", " FOUND", " ERROR", readError)
	}},
	{name: "James", failsOpen: true, streamOnly: true, read: func(l string) reading {
		if strings.Contains(l, "FOUND") {
			return readInfected
		}
		return readClean
	}},
	{name: "squidclamav", failsOpen: true, streamOnly: true, read: func(l string) reading {
		if strings.Contains(l, "FOUND") {
			return readInfected
		}
		return readClean
	}},
	{name: "pyclamd", read: func(l string) reading {
		parts := strings.SplitN(l, ": ", 2)
		if len(parts) < 2 {
			return readError
		}
		return suffixes(" "+lastWord(parts[1]), "", " FOUND", " ERROR", readClean)
	}},
	{name: "python-clamd", read: statusGroup(`^(?P<path>.*): ((?P<virus>.+) )?(?P<status>(FOUND|OK|ERROR))$`)},
	{name: "dutchcoders/go-clamd", read: dutchcoders},
	{name: "clammit", failsOpen: true, streamOnly: true, read: func(l string) reading {
		if dutchcoders(l) == readInfected {
			return readInfected
		}
		return readClean
	}},
	{name: "lyimmi/go-clamd", read: func(l string) reading { return suffixes(l, "OK", "FOUND", "ERROR", readError) }},
	{name: "baruwa", read: statusGroup(`^(?P<filename>[^:]+):\s+(?:(?P<signature>[^:]+)\s+)?(?P<status>(FOUND|OK|ERROR))$`)},
	{name: "cdarras", read: expressions(`^(.+) OK$`, `(.+: )?(.+): (.+) FOUND$`, `^(.+) ERROR`, readError)},
	{name: "solita", streamOnly: true, read: func(l string) reading {
		if strings.Contains(l, "OK") && !strings.Contains(l, "FOUND") {
			return readClean
		}
		return readInfected
	}},
	{name: "toblux", streamOnly: true, read: func(l string) reading {
		if strings.Contains(l, "OK") && !strings.Contains(l, "FOUND") {
			return readClean
		}
		return readInfected
	}},
	{name: "hmrc", wantsBareOK: true, streamOnly: true, read: func(l string) reading {
		switch {
		case l == "stream: OK":
			return readClean
		case hmrcFound.MatchString(l):
			return readInfected
		}
		return readError
	}},
	{name: "nClam", streamOnly: true, read: func(l string) reading {
		return suffixes(strings.ToLower(l), "ok", "found", "error", readError)
	}},
	{name: "node clamscan", wantsBareOK: true, streamOnly: true, read: expressions(`:\s+OK$`, `:\s+(.+)FOUND`, `^(.+)ERROR`, readNothing)},
	{name: "ruby clamav-client", read: func(l string) reading {
		m := rubyReply.FindStringSubmatch("1: " + l)
		if m == nil {
			return readError
		}
		return suffixes(m[4], "OK", "FOUND", "ERROR", readError)
	}},
	{name: "Nextcloud", wantsBareOK: true, streamOnly: true, read: expressions(`.*: OK$`, `.*: (.*) FOUND$`, `.*: (.*) ERROR$`, readError)},
	{name: "quahog", streamOnly: true, read: func(l string) reading {
		parts := strings.Split(l, ": ")
		if len(parts) < 2 {
			return readNothing
		}
		return suffixes(" "+lastWord(parts[1]), " OK", " FOUND", " ERROR", readNothing)
	}},
	{name: "appwrite", wantsBareOK: true, streamOnly: true, read: func(l string) reading {
		if strings.TrimSpace(l[strings.LastIndexByte(l, ':')+1:]) == "OK" {
			return readClean
		}
		return readInfected
	}},
	{name: "c-icap", wantsBareOK: true, streamOnly: true, read: func(l string) reading {
		_, rest, _ := strings.Cut(l, ":")
		switch {
		case strings.HasPrefix(strings.TrimPrefix(rest, " "), "OK"):
			return readClean
		case strings.Contains(rest, "FOUND"):
			return readInfected
		}
		return readError
	}},
	{name: "proftpd", streamOnly: true, read: func(l string) reading {
		switch l += "\n"; {
		case strings.Contains(l, "FOUND\n"):
			return readInfected
		case strings.Contains(l, "ERROR\n"), strings.Contains(l, "UNKNOWN COMMAND"):
			return readError
		}
		return readClean
	}},
}

var (
	rspamdFound     = regexp.MustCompile(`(?s)stream: (.+) FOUND`)
	harakaFound     = regexp.MustCompile(`^stream: (\S+) FOUND`)
	fileScanFound   = regexp.MustCompile(`(?i)stream:\ (.+)\ FOUND`)
	perlClient      = regexp.MustCompile(`(?i)^(.*): (?:OK|(.*) FOUND)$`)
	hmrcFound       = regexp.MustCompile(`^stream: (.+) FOUND$`)
	rubyReply       = regexp.MustCompile(`^(?P<id>\d+): (?P<path>.*): (?P<name>.*)\s?(?P<status>(OK|FOUND))$`)
	mimedefangFound = regexp.MustCompile(`: (.+) FOUND`)
	mimedefangError = regexp.MustCompile(`: (.+) ERROR`)
	mimedefangOther = regexp.MustCompile(`zip module failure|not supported data format`)
	dutchcoders     = statusGroup(`^(?P<path>[^:]+): ((?P<desc>[^:]+)(\((?P<virhash>([^:]+)):(?P<virsize>\d+)\))? )?(?P<status>FOUND|ERROR|OK)$`)
)

// mimedefang reads only once, 256 bytes, and takes unknown replies for clean.
func mimedefang(line string) reading {
	read := line + "\n"
	read = read[:min(len(read), 256)]
	switch m := mimedefangError.FindStringSubmatch(read); {
	case mimedefangFound.MatchString(read):
		return readInfected
	case m != nil && mimedefangOther.MatchString(m[1]):
		return readNothing
	case m != nil:
		return readError
	}
	return readClean
}

// preset names the preset of a client; all other clients are generic.
var preset = map[string]string{
	"MIMEDefang": "mimedefang", "amavis": "amavis", "rspamd": "rspamd", "Exim": "exim", "Haraka": "haraka",
	"clamav-milter": "milter", "James": "http-gateway", "squidclamav": "http-gateway", "clammit": "http-gateway",
}

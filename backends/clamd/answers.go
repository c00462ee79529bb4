package clamd

import (
	"errors"
	"fmt"
	"strings"

	"polyclam/backends"
	"polyclam/protocol"
)

// answers maps clamd's texts other than OK and FOUND, without " ERROR", to categories:
// those of cl_strerror() and of clamd's own code, 0.103 to 1.5. A trailing "*" matches
// anything. Any other text is SWErr.
var answers = []struct {
	text     string
	category backends.Category
	hint     string
}{
	{textTooLarge, backends.Partial, ""},
	{"Bad format or broken data", backends.Partial, ""},
	{"CL_EFORMAT: Bad format or broken data", backends.Partial, ""}, // 0.98 to 0.100
	{"Can't parse data", backends.Partial, ""},                      // "like CL_EFORMAT" in its source
	{"Can't unpack some data", backends.Partial, ""},
	{"Exceeded max scan size", backends.Partial, ""},
	{"Exceeded max scan files", backends.Partial, ""},
	{"Exceeded max recursion depth", backends.Partial, ""},
	{"CL_EMAXSIZE", backends.Partial, ""}, // the names of the last three, up to 0.104
	{"CL_EMAXFILES", backends.Partial, ""},
	{"CL_EMAXREC", backends.Partial, ""},

	{"Exceeded time limit", backends.Interrupted, ""},
	{"Time limit reached", backends.Interrupted, ""},
	{"CL_ETIMEOUT: Time limit reached", backends.Interrupted, ""},
	{"COMMAND READ TIMED OUT", backends.Interrupted, ""},
	{"read timeout", backends.Interrupted, ""},

	{"File path check failure: *", backends.SWErr, hintPath},
	{"lstat() failed: *", backends.SWErr, hintPath}, // up to 0.103.2
	{"Access denied.", backends.SWErr, hintPath},
	{"Can't open file or directory", backends.SWErr, hintPath},
	{"Can't access file", backends.SWErr, hintPath},
	{"Not supported file type", backends.SWErr, hintPath},
	{"Excluded*", backends.SWErr, hintExcluded},
	{"Not a regular file", backends.SWErr, hintDescriptor},
	{"No file descriptor received.", backends.SWErr, hintDescriptor},

	{"Can't create new file", backends.SWErr, hintTemporary},
	{"Can't create temporary file", backends.SWErr, hintTemporary},
	{"Can't create temporary directory", backends.SWErr, hintTemporary},
	{"Error writing to temporary file*", backends.SWErr, hintTemporary},
	{"Temporary file -> write", backends.SWErr, hintTemporary},
	{"Can't write to file", backends.SWErr, hintTemporary},
	{"Can't allocate memory", backends.SWErr, ""},
	{"Can't map file into memory", backends.SWErr, ""},
	{"Not enough threads for multiscan. Increase MaxThreads.", backends.SWErr, ""},
	{"accept()", backends.SWErr, ""},
	{"Can't find any free port.", backends.SWErr, ""},
	{"UNKNOWN COMMAND", backends.SWErr, hintCommand},
	{"Command invalid inside IDSESSION.", backends.SWErr, hintCommand},
	{"COMMAND UNAVAILABLE", backends.SWErr, hintCommand},
	{textAllMatchDisabled, backends.SWErr, hintCommand},
	{"PROTOCOL ERROR: *", backends.SWErr, hintCommand},
	{"Error processing command.", backends.SWErr, hintCommand},
}

const (
	textTooLarge         = "INSTREAM size limit exceeded."
	textAllMatchDisabled = "ALLMATCHSCAN command disabled by clamd configuration."
)

// Hints for the administrator.
const (
	hintPath       = `clamd cannot read the file: its user needs access to it and to every directory above, and AppArmor or SELinux must allow it; or use transport = "stream"`
	hintExcluded   = `ExcludePath or CrossFilesystems in clamd.conf keeps clamd from scanning the file; or use transport = "stream"`
	hintDescriptor = `the descriptor did not reach clamd: is its socket relayed, or clamd confined by AppArmor? use transport = "stream"`
	hintTemporary  = `check TemporaryDirectory in clamd.conf: its free space and its owner`
	hintCommand    = `the server does not know one of clamd's commands: is it a clamd? sessions = false may help`
)

// lookup returns the category and hint of a text.
func lookup(text string) (category backends.Category, hint string) {
	for i := range answers {
		begin, open := strings.CutSuffix(answers[i].text, "*")
		if text == begin || open && strings.HasPrefix(text, begin) {
			return answers[i].category, answers[i].hint
		}
	}
	return backends.SWErr, ""
}

// maxScanned is the size of the largest object that clamd can scan, however it is
// configured (1.4.6). It answers OK for larger ones, unless AlertExceedsMax is set.
const (
	maxScanned     = 1<<31 - 3
	maxScannedText = "clamd scans nothing of more than 2147483645 bytes"
)

// add adds a status line to the answer. path is the requested path, if any; size is the
// object's size.
func add(a *backends.Answer, r protocol.Reply, path string, size int64) {
	about := path == "" || r.Object == path
	switch {
	case r.Err() != nil:
		addText(a, r.Text)
	case r.OK() && r.Text == "" && about && size > maxScanned:
		a.Add(backends.Partial, backends.NoCode, maxScannedText)
	case r.OK() && r.Text == "" && about:
		a.Add(backends.OK, 0, "")
	case r.Found() && about:
		addName(a, r.Text)
	default:
		a.Fail(fmt.Errorf("unexpected answer %.200q", r.String()))
	}
}

// clamd 0.104 to 1.0 sends this when a limit ends the scan of a descriptor, because it
// has lost the limit's name.
const (
	noName     = "(null)"
	noNameText = "(null) FOUND: clamd 0.104 to 1.0 answers this for an object over one of its limits (MaxFileSize, MaxScanSize); later versions name the limit"
)

// unofficial is the suffix of names from databases other than ClamAV's own. ClamAV's
// heuristics never have it.
const unofficial = ".UNOFFICIAL"

// addName adds the name in a FOUND line.
func addName(a *backends.Answer, name string) {
	switch {
	case name == noName:
		a.Add(backends.Partial, 1, noNameText)
	case strings.HasSuffix(name, unofficial):
		a.Named(backends.Virus, 1, name, "")
	default:
		a.Found(backends.Virus, 1, name, "")
	}
}

// addText adds a text other than OK and FOUND.
func addText(a *backends.Answer, text string) {
	category, hint := lookup(text)
	failure := &backends.Failure{Category: category, Code: backends.NoCode, Text: text, NoRoom: hint == hintTemporary}
	switch {
	case text == textTooLarge:
		a.Refuse(backends.NoCode, text)
	case category == backends.Partial:
		a.Add(category, backends.NoCode, text)
	case hint != "":
		a.Fail(fmt.Errorf("%w (%s)", failure, hint))
	default:
		a.Fail(failure)
	}
}

// cannotAllMatch reports whether err is about ALLMATCHSCAN or the path rather than the
// scan, so that Scan may succeed.
func cannotAllMatch(err error) bool {
	var answer *protocol.ReplyError
	if !errors.As(err, &answer) {
		return errors.Is(err, protocol.ErrPath)
	}
	_, hint := lookup(answer.Reply.Text)
	return hint == hintPath || hint == hintCommand || hint == hintExcluded
}

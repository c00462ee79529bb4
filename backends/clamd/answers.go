package clamd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"polyclam/backends"
	"polyclam/protocol"
)

// answers says what clamd's texts amount to when it did not answer OK or FOUND:
// the text without " ERROR". The texts are those of cl_strerror() and of clamd's
// own code, 0.103 to 1.5. A text ending in "*" is a beginning. Partial is a result:
// nothing went wrong and no retry helps. A text that is not here is SWErr.
var answers = []struct {
	text     string
	category backends.Category
	hint     string
}{
	{"INSTREAM size limit exceeded.", backends.Partial, ""},
	{"Bad format or broken data", backends.Partial, ""},
	{"CL_EFORMAT: Bad format or broken data", backends.Partial, ""}, // 0.98 to 0.100
	{"Exceeded max scan size", backends.Partial, ""},
	{"Exceeded max scan files", backends.Partial, ""},
	{"Exceeded max recursion depth", backends.Partial, ""},

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

const textAllMatchDisabled = "ALLMATCHSCAN command disabled by clamd configuration."

// What an administrator can do about it.
const (
	hintPath       = `clamd cannot read the file: its user needs access to it and to every directory above, and AppArmor or SELinux must allow it; or use transport = "stream"`
	hintExcluded   = `ExcludePath or CrossFilesystems in clamd.conf keeps clamd from scanning the file; or use transport = "stream"`
	hintDescriptor = `the descriptor did not reach clamd: is its socket relayed, or clamd confined by AppArmor? use transport = "stream"`
	hintTemporary  = `check TemporaryDirectory in clamd.conf: its free space and its owner`
	hintCommand    = `the server does not take a command that clamd takes: is it a clamd? sessions = false may help`
)

// lookup finds the row of a text.
func lookup(text string) (category backends.Category, hint string) {
	for i := range answers {
		begin, open := strings.CutSuffix(answers[i].text, "*")
		if text == begin || open && strings.HasPrefix(text, begin) {
			return answers[i].category, answers[i].hint
		}
	}
	return backends.SWErr, ""
}

// answered maps OK and FOUND. path is what was asked about, in transport "path".
func (b *Backend) answered(r protocol.Reply, path string) (backends.Result, error) {
	about := path == "" || r.Object == path
	switch {
	case r.OK() && r.Text == "" && about:
		return backends.Clean(0), nil
	case r.Found() && about:
		return backends.Found(1, r.Text), nil
	}
	return backends.Result{}, fmt.Errorf("clamd %s: unexpected answer %.200q", b.address, r.String())
}

// unanswered maps what else may come: the server's words by the table, and the end
// of the connection.
func (b *Backend) unanswered(ctx context.Context, err error) (backends.Result, error) {
	var answer *protocol.ReplyError
	if errors.As(err, &answer) {
		return b.explained(answer.Reply)
	}
	if errors.Is(err, protocol.ErrNoReply) {
		err = fmt.Errorf("%w: %w", backends.ErrNoReply, err)
	}
	return backends.Result{}, b.wrap(ctx, err)
}

// explained maps the server's words.
func (b *Backend) explained(r protocol.Reply) (backends.Result, error) {
	category, hint := lookup(r.Text)
	if category == backends.Partial {
		return backends.Result{Category: category, Code: backends.NoCode, Detail: r.Text}, nil
	}
	err := error(&backends.Failure{Category: category, Code: backends.NoCode, Text: r.Text})
	if hint != "" {
		err = fmt.Errorf("%w (%s)", err, hint)
	}
	return backends.Result{}, fmt.Errorf("clamd %s: %w", b.address, err)
}

// delivered reports whether err is anything else than a descriptor that did not
// reach clamd.
func delivered(err error) bool {
	var answer *protocol.ReplyError
	if errors.As(err, &answer) {
		return answer.Reply.Text != "No file descriptor received."
	}
	return !errors.Is(err, protocol.ErrDescriptor)
}

// cannotAllMatch reports whether err is about ALLMATCHSCAN or the path, not about
// the scan, so that Scan may do better.
func cannotAllMatch(err error) bool {
	var answer *protocol.ReplyError
	if !errors.As(err, &answer) {
		return errors.Is(err, protocol.ErrPath)
	}
	_, hint := lookup(answer.Reply.Text)
	return hint == hintPath || hint == hintCommand || hint == hintExcluded
}

// matches collects the answer to ALLMATCHSCAN.
type matches struct {
	names []string
	bytes int // of names
	ok    protocol.Reply
	seen  int
}

// Bounds on the findings of one content.
const (
	maxMatches    = 1000
	maxMatchBytes = 32 << 10
)

var errEnough = errors.New("too many matches to list")

func (m *matches) add(r protocol.Reply, path string) error {
	m.seen++
	switch {
	case r.Found() && r.Object == path:
		m.names = append(m.names, r.Text)
		m.bytes += len(r.Text)
	case r.OK() && m.seen == 1:
		m.ok = r
	case r.Err() == nil:
		return fmt.Errorf("%w: %.200q", protocol.ErrUnexpectedReply, r.String())
	}
	if len(m.names) == maxMatches || m.bytes > maxMatchBytes {
		return errEnough
	}
	return nil
}

// result is for at least one finding: it stands, whatever came behind it.
func (m *matches) result(err error) backends.Result {
	r := backends.Found(1, m.names...)
	if err != nil {
		r.Detail = err.Error()
	}
	return r
}

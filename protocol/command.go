package protocol

import (
	"bytes"
	"strings"
)

// Verb is the name of a command.
type Verb string

// The verbs of clamd 1.6, polyclam's own, which begin with X, and STREAM, which
// clamd dropped.
const (
	VerbScan            Verb = "SCAN"
	VerbQuit            Verb = "QUIT" // an alias of SHUTDOWN, not a way to close the connection
	VerbReload          Verb = "RELOAD"
	VerbSelfCheck       Verb = "SELFCHECK" // clamd 1.6
	VerbPing            Verb = "PING"
	VerbContScan        Verb = "CONTSCAN"
	VerbVersionCommands Verb = "VERSIONCOMMANDS"
	VerbVersion         Verb = "VERSION"
	VerbEnd             Verb = "END"
	VerbShutdown        Verb = "SHUTDOWN"
	VerbMultiScan       Verb = "MULTISCAN"
	VerbFildes          Verb = "FILDES"
	VerbStats           Verb = "STATS"
	VerbIDSession       Verb = "IDSESSION"
	VerbInstream        Verb = "INSTREAM"
	VerbDetStatsClear   Verb = "DETSTATSCLEAR"
	VerbDetStats        Verb = "DETSTATS"
	VerbAllMatchScan    Verb = "ALLMATCHSCAN"

	VerbXInstream Verb = "XINSTREAM"
	VerbXScan     Verb = "XSCAN"
	VerbXContScan Verb = "XCONTSCAN"
	VerbXFildes   Verb = "XFILDES"
	VerbXStatus   Verb = "XSTATUS"

	VerbStream Verb = "STREAM" // see DataPort
)

// MaxCommand is the most bytes a command may have, prefix and terminator
// included. clamd 1.4.6 closes the connection on the next byte (its buffer has
// PATH_MAX+8 bytes).
const MaxCommand = 4104

// grammar lists the verbs in the order in which clamd tries them; the first that
// the command begins with is taken, so VERSIONCOMMANDS stands before VERSION.
var grammar = []struct {
	verb     Verb
	argument bool // takes a path; any one byte separates it
	bare     bool // may be sent without the z or n prefix
}{
	{VerbScan, true, true},
	{VerbQuit, false, true},
	{VerbReload, false, true},
	{VerbSelfCheck, false, false},
	{VerbPing, false, true},
	{VerbContScan, true, true},
	{VerbVersionCommands, false, false},
	{VerbVersion, false, true},
	{VerbEnd, false, false},
	{VerbShutdown, false, true},
	{VerbMultiScan, true, true},
	{VerbFildes, false, true},
	{VerbStats, false, false},
	{VerbIDSession, false, false},
	{VerbInstream, false, false},
	{VerbDetStatsClear, false, true},
	{VerbDetStats, false, true},
	{VerbAllMatchScan, true, false},
	{VerbXInstream, false, false},
	{VerbXScan, true, false},
	{VerbXContScan, true, false},
	{VerbXFildes, false, false},
	{VerbXStatus, false, false},
	{VerbStream, false, true},
}

// Verbs returns all verbs in the order in which VERSIONCOMMANDS lists them:
// clamd's own first. STREAM, the last, is not in that list.
func Verbs() []Verb {
	verbs := make([]Verb, len(grammar))
	for i, row := range grammar {
		verbs[i] = row.verb
	}
	return verbs
}

// Command is one command of a client.
type Command struct {
	Verb     Verb   // empty if it is unknown or malformed
	Arg      string // the path of a scan command: raw bytes, not to be trusted
	Term     byte   // what ends the reply: 0 for a z command, else '\n'
	Prefixed bool   // it came with a z or n prefix
}

// parse makes a Command of its bytes without prefix and terminator.
func parse(line []byte, term byte, prefixed bool) Command {
	cmd := Command{Term: term, Prefixed: prefixed}
	for _, row := range grammar {
		rest, ok := bytes.CutPrefix(line, []byte(row.verb))
		if !ok {
			continue
		}
		// clamd skips one byte of any kind before the argument and takes the
		// rest, blanks included: "SCANNER" scans the path "ER".
		if row.argument == (len(rest) == 0) || !prefixed && !row.bare {
			return cmd
		}
		cmd.Verb = row.verb
		if row.argument {
			cmd.Arg = string(rest[1:])
		}
		return cmd
	}
	return cmd
}

// cut takes one command off the front of data, which is not empty. It returns the
// command and how many bytes it took, or zero if more bytes are needed.
func cut(data []byte) (Command, int) {
	switch data[0] {
	case 'z':
		end := bytes.IndexByte(data, 0)
		if end < 0 {
			return Command{}, 0
		}
		return parse(data[1:end], 0, true), end + 1
	case 'n':
		end := bytes.IndexByte(data, '\n')
		if end < 0 {
			return Command{}, 0
		}
		return parse(chomp(data[1:end]), '\n', true), end + 1
	}
	return cutPacket(data)
}

// cutPacket takes one command without prefix, for which one packet is one command:
// whatever came with it is gone, but what carries the descriptor of a FILDES.
// clamd 1.4.6 waits for that byte before it looks at the command at all, so a
// newline that comes in a packet of its own still counts.
func cutPacket(data []byte) (Command, int) {
	line, _, ended := bytes.Cut(data[:min(len(data), MaxCommand)], []byte{'\n'})
	cmd := parse(chomp(line), '\n', false)
	switch {
	case cmd.Verb != VerbFildes:
		return cmd, len(data)
	case ended:
		return cmd, len(line) + 1
	case len(data) <= len(VerbFildes):
		return Command{}, 0
	}
	return cmd, len(VerbFildes) + 1
}

// chomp ends line at an embedded NUL and drops carriage returns and newlines at
// its end, as clamd's C strings do.
func chomp(line []byte) []byte {
	line, _, _ = bytes.Cut(line, []byte{0})
	return bytes.TrimRight(line, "\r\n")
}

// commandList is the list in the reply to VERSIONCOMMANDS. STREAM is left out also
// where it is answered: it is older than the list, so that no client that sends it
// reads the list, and one that reads the list is to choose INSTREAM.
var commandList = func() string {
	var b strings.Builder
	for _, v := range Verbs() {
		if v == VerbStream {
			continue
		}
		b.WriteByte(' ')
		b.WriteString(string(v))
	}
	return b.String()
}()

// VersionCommands is the reply to VERSIONCOMMANDS for a server of this version.
// clamd 1.4.6 has no blank before the bar.
func VersionCommands(version string) string {
	return version + "| COMMANDS:" + commandList
}

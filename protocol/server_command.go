package protocol

import (
	"bytes"
	"strings"
)

// Command is one command of a client.
type Command struct {
	Verb     Verb   // empty if unknown or malformed
	Arg      string // the path of a scan command, or the id of XTAG: untrusted bytes
	Term     byte   // what ends the reply: 0 for a z command, otherwise '\n'
	Prefixed bool   // it had a z or n prefix
}

// parse parses a command without prefix and terminator.
func parse(line []byte, term byte, prefixed bool) Command {
	cmd := Command{Term: term, Prefixed: prefixed}
	for _, row := range grammar {
		rest, ok := bytes.CutPrefix(line, []byte(row.verb))
		if !ok {
			continue
		}
		// clamd skips one byte of any value, and uses the rest as the path, spaces
		// included: "SCANNER" scans the path "ER".
		if row.argument == (len(rest) == 0) || !prefixed && !row.bare || row.verb == VerbXTag && rest[0] != ' ' {
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

// cut cuts one command off the start of data, which is not empty. It returns the command
// and its length, or 0 if more bytes are needed.
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

// cutPacket cuts one command without prefix. It extends to the end of the packet: anything
// that came with it is lost, except for the byte that carries the descriptor of FILDES.
// clamd 1.4.6 waits for that byte before it reads the command, so a newline in a separate
// packet still belongs to the command.
func cutPacket(data []byte) (Command, int) {
	line, _, ended := bytes.Cut(data[:min(len(data), maxCommand)], []byte{'\n'})
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

// chomp ends line at an embedded NUL, as clamd's C strings do, and trims carriage returns
// and newlines.
func chomp(line []byte) []byte {
	line, _, _ = bytes.Cut(line, []byte{0})
	return bytes.TrimRight(line, "\r\n")
}

// commandList is the list in the reply to VERSIONCOMMANDS. STREAM is never in it: it is
// older than the list, so clients that send it do not read the list, and those that read
// the list should choose INSTREAM.
var commandList = func() string {
	var b strings.Builder
	for _, row := range grammar {
		if row.verb != VerbStream {
			b.WriteString(" " + string(row.verb))
		}
	}
	return b.String()
}()

// VersionCommands returns the reply to VERSIONCOMMANDS for a server with this version.
// clamd 1.4.6 has no space before the bar.
func VersionCommands(version string) string {
	return version + "| COMMANDS:" + commandList
}

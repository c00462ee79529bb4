package protocol

// Verb is the name of a command.
type Verb string

// The verbs of clamd 1.6; polyclam's own, which begin with X; and STREAM, which clamd
// removed.
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
	VerbXTag      Verb = "XTAG"

	VerbStream Verb = "STREAM" // see package dataport
)

// maxCommand is the largest size of a command, prefix and terminator included. clamd
// 1.4.6 closes the connection on the next byte (its buffer has PATH_MAX+8 bytes).
const maxCommand = 4104

// grammar lists the verbs in the order in which clamd tries them. The first one that the
// command begins with is taken, so VERSIONCOMMANDS precedes VERSION.
var grammar = []struct {
	verb     Verb
	argument bool // takes a path, or XTAG's id; any one byte separates it, but only a space for XTAG
	bare     bool // allowed without the z or n prefix
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
	{VerbXTag, true, false},
	{VerbStream, false, true},
}

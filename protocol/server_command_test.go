package protocol

import (
	"errors"
	"io"
	"strings"
	"testing"
)

var (
	zPing    = Command{Verb: VerbPing, Term: 0, Prefixed: true}
	nPing    = Command{Verb: VerbPing, Term: '\n', Prefixed: true}
	ping     = Command{Verb: VerbPing, Term: '\n'}
	zUnknown = Command{Term: 0, Prefixed: true}
	nUnknown = Command{Term: '\n', Prefixed: true}
	unknown  = Command{Term: '\n'}
)

func zScan(path string) Command { return Command{VerbScan, path, 0, true} }
func nScan(path string) Command { return Command{VerbScan, path, '\n', true} }
func scan(path string) Command  { return Command{VerbScan, path, '\n', false} }

// commandTests lists the commands in one packet. The packets were also sent to clamd
// 1.4.6.
var commandTests = []struct {
	name   string
	packet string
	want   []Command
	err    error // nil stands for io.EOF
}{
	{name: "z", packet: "zPING\x00", want: []Command{zPing}},
	{name: "z newline is data", packet: "zPING\n\x00", want: []Command{zUnknown}},
	{name: "z carriage return is data", packet: "zPING\r\x00", want: []Command{zUnknown}},
	{name: "z newline in a path", packet: "zSCAN /a\nb\r\n\x00", want: []Command{zScan("/a\nb\r\n")}},
	{name: "z unfinished", packet: "zPING"},
	{name: "z unfinished with newline", packet: "zPING\n"},
	{name: "z alone", packet: "z"},
	{name: "z empty", packet: "z\x00", want: []Command{zUnknown}},
	{name: "z twice", packet: "zPING\x00zPING\x00", want: []Command{zPing, zPing}},
	{name: "z and garbage", packet: "zPING\x00garbage", want: []Command{zPing, unknown}},
	{name: "z and n", packet: "zPING\x00nPING\nzSCAN a\x00", want: []Command{zPing, nPing, zScan("a")}},
	{name: "z and a part", packet: "zPING\x00zPI", want: []Command{zPing}},

	{name: "n", packet: "nPING\n", want: []Command{nPing}},
	{name: "n CRLF", packet: "nPING\r\n", want: []Command{nPing}},
	{name: "n CRCRLF", packet: "nPING\r\r\n", want: []Command{nPing}},
	{name: "n CR within", packet: "nPI\rNG\n", want: []Command{nUnknown}},
	{name: "n NUL cuts", packet: "nPING\x00rest\n", want: []Command{nPing}},
	{name: "n NUL cuts, then CR", packet: "nPING\r\x00rest\n", want: []Command{nPing}},
	{name: "n NUL cuts a verb", packet: "nPI\x00NG\n", want: []Command{nUnknown}},
	{name: "n unfinished", packet: "nPING"},
	{name: "n unfinished with NUL", packet: "nPING\x00"},
	{name: "n empty", packet: "n\n", want: []Command{nUnknown}},
	{name: "n CRLF only", packet: "n\r\n", want: []Command{nUnknown}},

	{name: "bare", packet: "PING", want: []Command{ping}},
	{name: "bare LF", packet: "PING\n", want: []Command{ping}},
	{name: "bare CRLF", packet: "PING\r\n", want: []Command{ping}},
	{name: "bare NUL", packet: "PING\x00", want: []Command{ping}},
	{name: "bare NUL and rest", packet: "PING\x00x", want: []Command{ping}},
	{name: "bare twice is once", packet: "PING\nPING\n", want: []Command{ping}},
	{name: "bare and rest", packet: "PING\n" + strings.Repeat("x", 6000), want: []Command{ping}},
	{name: "bare trailing blank", packet: "PING ", want: []Command{unknown}},
	{name: "bare leading blank", packet: " PING", want: []Command{unknown}},
	{name: "lower case", packet: "ping\n", want: []Command{unknown}},
	{name: "z lower case", packet: "zping\x00", want: []Command{zUnknown}},
	{name: "upper case Z", packet: "ZPING\x00", want: []Command{unknown}},
	{name: "newline", packet: "\n", want: []Command{unknown}},
	{name: "NUL", packet: "\x00", want: []Command{unknown}},
	{name: "HTTP", packet: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", want: []Command{unknown}},
	{name: "SMTP", packet: "EHLO a\r\n", want: []Command{unknown}},
	{name: "TLS", packet: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", want: []Command{unknown}},
	{name: "noise", packet: "\xff\xfe\x80\x00\n\xff", want: []Command{unknown}},

	{name: "scan", packet: "zSCAN /a b\x00", want: []Command{zScan("/a b")}},
	{name: "scan any separator", packet: "zSCANX/var/f\x00", want: []Command{zScan("/var/f")}},
	{name: "scan tab", packet: "SCAN\t/var/f", want: []Command{scan("/var/f")}},
	{name: "scanner", packet: "nSCANNER\n", want: []Command{nScan("ER")}},
	{name: "scan two blanks", packet: "nSCAN  /x\n", want: []Command{nScan(" /x")}},
	{name: "scan empty path", packet: "nSCAN \n", want: []Command{nScan("")}},
	{name: "scan nothing", packet: "nSCAN\n", want: []Command{nUnknown}},
	{name: "scan CR as separator only", packet: "nSCAN\r\n", want: []Command{nUnknown}},
	{name: "scan raw bytes", packet: "nSCAN \xff\x01: OK\n", want: []Command{nScan("\xff\x01: OK")}},
	{name: "scan half a line", packet: "SCAN /a\nb", want: []Command{scan("/a")}},

	{name: "argument to INSTREAM", packet: "zINSTREAM x\x00", want: []Command{zUnknown}},
	{name: "argument to RELOAD", packet: "RELOAD x", want: []Command{unknown}},
	{name: "QUIT", packet: "QUIT\n", want: []Command{{Verb: VerbQuit, Term: '\n'}}},
	{name: "z QUIT", packet: "zQUIT\x00", want: []Command{{Verb: VerbQuit, Prefixed: true}}},
	{name: "longer name first", packet: "zVERSIONCOMMANDS\x00", want: []Command{{Verb: VerbVersionCommands, Prefixed: true}}},
	{name: "shorter name", packet: "zVERSION\x00", want: []Command{{Verb: VerbVersion, Prefixed: true}}},
	{name: "between the names", packet: "zVERSIONCOMMAND\x00", want: []Command{zUnknown}},
	{name: "DETSTATSCLEAR", packet: "DETSTATSCLEAR", want: []Command{{Verb: VerbDetStatsClear, Term: '\n'}}},

	{name: "STREAM", packet: "STREAM\n", want: []Command{{Verb: VerbStream, Term: '\n'}}},
	{name: "STREAM CRLF", packet: "STREAM\r\n", want: []Command{{Verb: VerbStream, Term: '\n'}}},
	{name: "STREAM without end", packet: "STREAM", want: []Command{{Verb: VerbStream, Term: '\n'}}},
	{name: "z STREAM", packet: "zSTREAM\x00", want: []Command{{Verb: VerbStream, Prefixed: true}}},
	{name: "n STREAM", packet: "nSTREAM\r\n", want: []Command{{Verb: VerbStream, Term: '\n', Prefixed: true}}},
	{name: "argument to STREAM", packet: "STREAM x\n", want: []Command{unknown}},
	{name: "more than STREAM", packet: "nSTREAMS\n", want: []Command{nUnknown}},

	{name: "z longest", packet: "z" + strings.Repeat("A", 4102) + "\x00", want: []Command{zUnknown}},
	{name: "z too long", packet: "z" + strings.Repeat("A", 4103) + "\x00", err: ErrCommandTooLong},
	{name: "n longest", packet: "nSCAN /" + strings.Repeat("A", 4096) + "\n", want: []Command{nScan("/" + strings.Repeat("A", 4096))}},
	{name: "n too long", packet: "nSCAN /" + strings.Repeat("A", 4097) + "\n", err: ErrCommandTooLong},
	{name: "n too long by its CR", packet: "nSCAN /" + strings.Repeat("A", 4096) + "\r\n", err: ErrCommandTooLong},
	{name: "n endless", packet: "n" + strings.Repeat("A", 5000), err: ErrCommandTooLong},
	{name: "z full without end", packet: "z" + strings.Repeat("A", 4103), err: ErrCommandTooLong},
	{name: "z not yet full", packet: "z" + strings.Repeat("A", 4102)},
	{name: "second too long", packet: "zPING\x00z" + strings.Repeat("A", 4103) + "\x00", want: []Command{zPing}, err: ErrCommandTooLong},
	{name: "bare too long is cut", packet: "SCAN /" + strings.Repeat("a", 5000) + "\n", want: []Command{scan("/" + strings.Repeat("a", 4098))}},
	{name: "nothing"},
}

// readCommands reads until the first error.
func readCommands(c *Conn) ([]Command, error) {
	var got []Command
	for {
		cmd, err := c.ReadCommand()
		if err != nil {
			return got, err
		}
		got = append(got, cmd)
	}
}

// play sends the packets, each after the one before was received, half-closes, and returns
// what the server read.
func (p serverPair) play(t *testing.T, packets ...string) ([]Command, error) {
	t.Helper()
	var got []Command
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		got, err = readCommands(p.Conn)
		p.Conn.nc.Close() // so that a client that still writes does not wait
	}()
	for _, packet := range packets {
		if packet == "" {
			continue
		}
		if _, err := p.client.Write([]byte(packet)); err != nil {
			break
		}
		p.received(t, done)
	}
	p.end()
	<-done
	return got, err
}

func checkCommands(t *testing.T, got []Command, err error, want []Command, wantErr error) {
	t.Helper()
	if wantErr == nil {
		wantErr = io.EOF
	}
	if !errors.Is(err, wantErr) {
		t.Errorf("ended with %v, want %v", err, wantErr)
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("read %+v, want %+v", got, want)
		}
	}
}

func TestReadCommand(t *testing.T) {
	for _, kind := range serverKinds {
		for _, tt := range commandTests {
			t.Run(kind.name+"/"+tt.name, func(t *testing.T) {
				got, err := kind.make(t).play(t, tt.packet)
				checkCommands(t, got, err, tt.want, tt.err)
			})
		}
	}
}

// Commands with a prefix may be split anywhere.
func TestReadCommandSplit(t *testing.T) {
	for _, kind := range serverKinds {
		for _, tt := range commandTests {
			if tt.packet == "" || tt.packet[0] != 'z' && tt.packet[0] != 'n' || strings.Contains(tt.packet, "garbage") {
				continue
			}
			t.Run(kind.name+"/"+tt.name, func(t *testing.T) {
				step := 1 + len(tt.packet)/40
				for i := 1; i < len(tt.packet); i += step {
					got, err := kind.make(t).play(t, tt.packet[:i], tt.packet[i:])
					checkCommands(t, got, err, tt.want, tt.err)
				}
				if len(tt.packet) < 100 {
					got, err := kind.make(t).play(t, strings.Split(tt.packet, "")...)
					checkCommands(t, got, err, tt.want, tt.err)
				}
			})
		}
	}
}

// Without a prefix a packet is a command.
func TestReadCommandPackets(t *testing.T) {
	fildes := Command{Verb: VerbFildes, Term: '\n'}
	tests := []struct {
		name    string
		packets []string
		want    []Command
	}{
		{"cut", []string{"PI", "NG\n"}, []Command{unknown, unknown}},
		{"two", []string{"PING", "PING\n"}, []Command{ping, ping}},
		{"newline by itself", []string{"PING", "\n"}, []Command{ping, unknown}},
		{"FILDES waits for its newline", []string{"FILDES", "\n"}, []Command{fildes}},
		{"FILDES without newline", []string{"FILDES", "x"}, []Command{unknown}},
		{"FILDES leaves its byte", []string{"FILDES\nx"}, []Command{fildes, unknown}},
		{"FILDES with NUL", []string{"FILDES\x00", "x"}, []Command{fildes, unknown}},
	}
	for _, kind := range serverKinds {
		if kind.name == "tcp" {
			continue // does not preserve packets
		}
		for _, tt := range tests {
			t.Run(kind.name+"/"+tt.name, func(t *testing.T) {
				got, err := kind.make(t).play(t, tt.packets...)
				checkCommands(t, got, err, tt.want, nil)
			})
		}
	}
}

// TestVerbs covers each verb in each framing, with and without an argument.
func TestVerbs(t *testing.T) {
	needPrefix := map[Verb]bool{VerbVersionCommands: true, VerbEnd: true, VerbStats: true, VerbIDSession: true,
		VerbInstream: true, VerbAllMatchScan: true, VerbXInstream: true, VerbXScan: true, VerbXContScan: true,
		VerbXFildes: true, VerbXStatus: true, VerbSelfCheck: true, VerbXTag: true}
	takePath := map[Verb]bool{VerbScan: true, VerbContScan: true, VerbMultiScan: true, VerbAllMatchScan: true,
		VerbXScan: true, VerbXContScan: true, VerbXTag: true}
	for _, verb := range verbs() {
		for _, arg := range []string{"", " /p"} {
			for _, prefix := range []string{"z", "n", ""} {
				term := byte('\n')
				if prefix == "z" {
					term = 0
				}
				want := Command{Term: term, Prefixed: prefix != ""}
				if takePath[verb] == (arg != "") && (prefix != "" || !needPrefix[verb]) {
					want.Verb, want.Arg = verb, strings.TrimPrefix(arg, " ")
				}
				packet := prefix + string(verb) + arg + string(term)
				got, n := cut([]byte(packet))
				if got != want || n != len(packet) {
					t.Errorf("%q: %+v and %d bytes, want %+v and %d", packet, got, n, want, len(packet))
				}
			}
		}
	}
}

func TestVersionCommands(t *testing.T) {
	got := VersionCommands("ClamAV 1.4.6")
	want := "ClamAV 1.4.6| COMMANDS: SCAN QUIT RELOAD SELFCHECK PING CONTSCAN VERSIONCOMMANDS VERSION END SHUTDOWN MULTISCAN" +
		" FILDES STATS IDSESSION INSTREAM DETSTATSCLEAR DETSTATS ALLMATCHSCAN" +
		" XINSTREAM XSCAN XCONTSCAN XFILDES XSTATUS XTAG"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func verbs() []Verb {
	var all []Verb
	for _, row := range grammar {
		all = append(all, row.verb)
	}
	return all
}

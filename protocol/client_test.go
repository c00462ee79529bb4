package protocol

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
)

// playServer runs a server that plays one connection after the other, and returns
// a client for it. A connection is closed when its play returns.
func playServer(tb testing.TB, network string, play func(nc net.Conn)) *Client {
	tb.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		dir, err := os.MkdirTemp("", "protocol") // a short path
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { os.RemoveAll(dir) })
		address = filepath.Join(dir, "s")
	}
	ln, err := net.Listen(network, address)
	if err != nil {
		tb.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Add(1)
			go func() {
				defer wg.Done()
				defer nc.Close()
				play(nc)
			}()
		}
	}()
	tb.Cleanup(func() { ln.Close(); wg.Wait() })
	return &Client{Network: network, Address: ln.Addr().String()}
}

// readCommand reads up to a NUL.
func readZ(nc net.Conn) string {
	var b []byte
	var one [1]byte
	for {
		if _, err := io.ReadFull(nc, one[:]); err != nil {
			return string(b) + "<" + err.Error() + ">"
		}
		if one[0] == 0 {
			return string(b)
		}
		b = append(b, one[0])
	}
}

// readChunks reads a stream to its end marker. It reports false if it breaks off.
func readChunks(nc net.Conn) ([]byte, bool) {
	var content []byte
	for {
		var head [4]byte
		if _, err := io.ReadFull(nc, head[:]); err != nil {
			return content, false
		}
		n := binary.BigEndian.Uint32(head[:])
		if n == 0 {
			return content, true
		}
		data := make([]byte, n)
		if _, err := io.ReadFull(nc, data); err != nil {
			return content, false
		}
		content = append(content, data...)
	}
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// says is a server that answers whatever command comes first.
func says(t *testing.T, reply string) *Client {
	return playServer(t, "unix", func(nc net.Conn) {
		readZ(nc)
		io.WriteString(nc, reply)
	})
}

func TestClientInformation(t *testing.T) {
	ctx := testContext(t)
	const stats = "POOLS: 1\n\nSTATE: VALID PRIMARY\nEND"
	answers := map[string]string{
		"zPING": "PONG", "zVERSION": "ClamAV 1.4.6/27500/Mon Nov 23 08:00:00 2026", "zRELOAD": "RELOADING",
		"zVERSIONCOMMANDS": "ClamAV 1.4.6| COMMANDS: SCAN XSCAN", "zSTATS": stats,
	}
	c := playServer(t, "tcp", func(nc net.Conn) { io.WriteString(nc, answers[readZ(nc)]+"\x00") })
	if err := c.Ping(ctx); err != nil {
		t.Error(err)
	}
	if err := c.Reload(ctx); err != nil {
		t.Error(err)
	}
	if v, err := c.Version(ctx); err != nil || v != answers["zVERSION"] {
		t.Errorf("%q, %v", v, err)
	}
	if s, err := c.Stats(ctx); err != nil || s != stats {
		t.Errorf("%q, %v", s, err)
	}
	v, verbs, err := c.VersionCommands(ctx)
	if err != nil || v != "ClamAV 1.4.6" || len(verbs) != 2 || verbs[0] != VerbScan || verbs[1] != VerbXScan {
		t.Errorf("%q, %q, %v", v, verbs, err)
	}
}

func TestClientSelfCheck(t *testing.T) {
	ctx := testContext(t)
	for reply, want := range map[string]bool{"DBUPTODATE": true, "RELOADING": false} {
		if got, err := says(t, reply+"\x00").SelfCheck(ctx); got != want || err != nil {
			t.Errorf("%s: %v, %v", reply, got, err)
		}
	}
	for _, reply := range []string{"UNKNOWN COMMAND\x00", "COMMAND UNAVAILABLE\x00", "DBUPTODATE ERROR\x00", "PONG\x00", "\x00", ""} {
		if got, err := says(t, reply).SelfCheck(ctx); got || err == nil {
			t.Errorf("%q: %v, %v", reply, got, err)
		}
	}
}

func TestClientInformationRefused(t *testing.T) {
	ctx := testContext(t)
	for _, reply := range []string{"COMMAND UNAVAILABLE\x00", "\x00", "x ERROR\x00", "stream: OK\x00"} {
		c := says(t, reply)
		_, err1 := c.Version(ctx)
		_, _, err2 := c.VersionCommands(ctx)
		_, err3 := c.Stats(ctx)
		for i, err := range []error{err1, err2, err3, c.Ping(ctx), c.Reload(ctx)} {
			if err == nil {
				t.Errorf("%q: request %d got no error", reply, i)
			}
		}
		if strings.HasPrefix(reply, "COMMAND") && !errors.Is(err1, ErrCommandUnavailable) {
			t.Errorf("got %v", err1)
		}
	}
}

func TestInstreamSends(t *testing.T) {
	ctx := testContext(t)
	for _, network := range []string{"unix", "tcp"} {
		for _, size := range []int{0, 1, chunkData - 1, chunkData, chunkData + 1, 3*chunkData + 5} {
			content := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
			got := make(chan []byte, 1)
			c := playServer(t, network, func(nc net.Conn) {
				if cmd := readZ(nc); cmd != "zINSTREAM" {
					t.Errorf("command %q", cmd)
				}
				data, _ := readChunks(nc)
				got <- data
				io.WriteString(nc, "stream: OK\x00")
			})
			for _, r := range []io.Reader{bytes.NewReader(content), iotest.DataErrReader(bytes.NewReader(content)), iotest.HalfReader(bytes.NewReader(content))} {
				reply, err := c.Instream(ctx, r)
				if err != nil || !reply.OK() {
					t.Fatalf("%d bytes: %+v, %v", size, reply, err)
				}
				if data := <-got; !bytes.Equal(data, content) {
					t.Fatalf("%d bytes: the server got %d others", size, len(data))
				}
			}
		}
	}
}

// countConn counts writes.
type countConn struct {
	net.Conn
	writes *atomic.Int32
}

func (c countConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

func TestInstreamIsOneWrite(t *testing.T) {
	var writes atomic.Int32
	c := playServer(t, "tcp", func(nc net.Conn) {
		readZ(nc)
		readChunks(nc)
		io.WriteString(nc, "stream: OK\x00")
	})
	c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		nc, err := net.Dial(network, address)
		return countConn{nc, &writes}, err
	}
	if _, err := c.Instream(testContext(t), strings.NewReader("small")); err != nil {
		t.Fatal(err)
	}
	if n := writes.Load(); n != 1 {
		t.Errorf("%d writes", n)
	}
}

// TestInstreamReaderFails: a content that breaks off is never ended properly.
func TestInstreamReaderFails(t *testing.T) {
	whole := make(chan bool, 1)
	c := playServer(t, "unix", func(nc net.Conn) {
		readZ(nc)
		_, ok := readChunks(nc)
		whole <- ok
		io.WriteString(nc, "stream: OK\x00")
	})
	for _, want := range []error{io.ErrUnexpectedEOF, syscall.EPIPE, os.ErrDeadlineExceeded} {
		r := io.MultiReader(bytes.NewReader(make([]byte, chunkData+7)), iotest.ErrReader(want))
		reply, err := c.Instream(testContext(t), r)
		if !errors.Is(err, want) || reply != (Reply{}) {
			t.Errorf("%v: got %+v, %v", want, reply, err)
		}
		if <-whole {
			t.Errorf("%v: the server was given an end marker", want)
		}
	}
	if _, err := c.Instream(testContext(t), stuck{}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
	<-whole
	if _, err := c.Instream(testContext(t), liar{}); err == nil {
		t.Errorf("a reader that lies about its count got away with it")
	}
	<-whole
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

type liar struct{}

func (liar) Read(p []byte) (int, error) { return len(p) + 1, nil }

func TestReplyEndsAtEveryByte(t *testing.T) {
	const reply = "stream: OK\x00"
	for n := range len(reply) {
		for _, reset := range []bool{false, true} {
			c := playServer(t, "tcp", func(nc net.Conn) {
				readZ(nc)
				readChunks(nc)
				io.WriteString(nc, reply[:n])
				if reset {
					nc.(*net.TCPConn).SetLinger(0)
				}
			})
			r, err := c.Instream(testContext(t), strings.NewReader("x"))
			want := ErrBrokenReply
			if n == 0 {
				want = ErrNoReply
			}
			if r != (Reply{}) || !errors.Is(err, want) && !(reset && errors.Is(err, ErrNoReply)) {
				t.Errorf("%d bytes, reset %v: got %+v, %v", n, reset, r, err)
			}
		}
	}
}

func TestReplyByteByByte(t *testing.T) {
	c := playServer(t, "tcp", func(nc net.Conn) {
		readZ(nc)
		readChunks(nc)
		for _, b := range []byte("stream: " + strings.Repeat("N", 2000) + " FOUND\x00") {
			nc.Write([]byte{b})
		}
	})
	r, err := c.Instream(testContext(t), strings.NewReader("x"))
	if err != nil || r.Text != strings.Repeat("N", 2000) {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestOddReplies(t *testing.T) {
	tests := []struct {
		name, reply string
		want        error
	}{
		{"two", "stream: OK\x00stream: OK\x00", ErrUnexpectedReply},
		{"garbage behind", "stream: OK\x00x", ErrUnexpectedReply},
		{"garbage", "\x16\x03\x01\x00", ErrReplySyntax},
		{"no terminator", "stream: OK", ErrBrokenReply},
		{"newline", "stream: OK\n", ErrBrokenReply},
		{"no end", strings.Repeat("A", 1<<20), ErrReplyTooLong},
		{"timed out", "COMMAND READ TIMED OUT\n", ErrCommandTimeout},
		{"timed out, half", "COMMAND READ TIMED OU", ErrBrokenReply},
		{"unknown", "UNKNOWN COMMAND\x00", ErrUnknownCommand},
		{"empty", "\x00", ErrReplySyntax},
		{"with id", "1: stream: OK\x00", ErrReplySyntax},
		{"about a path", "/p: OK\x00", ErrReplySyntax},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := playServer(t, "unix", func(nc net.Conn) {
				readZ(nc)
				readChunks(nc)
				io.WriteString(nc, tt.reply)
			})
			if r, err := c.Instream(testContext(t), strings.NewReader("x")); !errors.Is(err, tt.want) {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
}

// TestReplyWhileWriting: the server answers and closes before the stream ends.
func TestReplyWhileWriting(t *testing.T) {
	tests := []struct {
		reply string
		want  error
	}{
		{"INSTREAM size limit exceeded. ERROR\x00", ErrInstreamLimit},
		{"stream: OK\x00", ErrEarlyOK},
		{"stream: Eicar FOUND\x00", nil},
		{"", ErrNoReply},
	}
	for _, tt := range tests {
		c := playServer(t, "unix", func(nc net.Conn) {
			readZ(nc)
			io.WriteString(nc, tt.reply)
			nc.(*net.UnixConn).CloseWrite()
		})
		r, err := c.Instream(testContext(t), io.LimitReader(zeros{}, 64<<20))
		if tt.want == nil && (err != nil || !r.Found()) || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%q: got %+v, %v", tt.reply, r, err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestContextEnds(t *testing.T) {
	cause := errors.New("called off")
	for _, reads := range []bool{true, false} {
		c := playServer(t, "unix", func(nc net.Conn) {
			if reads {
				io.Copy(io.Discard, nc)
				return
			}
			<-t.Context().Done()
		})
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
		if _, err := c.Instream(ctx, io.LimitReader(zeros{}, 1<<30)); !errors.Is(err, cause) {
			t.Errorf("got %v", err)
		}
		if err := c.Ping(ctx); !errors.Is(err, cause) {
			t.Errorf("a context that is done: got %v", err)
		}
	}
}

func TestPathsThatCannotBeSent(t *testing.T) {
	c := &Client{Network: "unix", Address: "/nonexistent/socket"}
	ctx := testContext(t)
	longest := strings.Repeat("x", MaxCommand-len("zALLMATCHSCAN \x00"))
	ignore := func(Reply) error { return nil }
	for _, path := range []string{"", "/a\x00b", longest + "x", strings.Repeat("x", 1<<20)} {
		_, err1 := c.Scan(ctx, path+longest[:0])
		err2 := c.AllMatchScan(ctx, path, ignore)
		_, _, err3 := c.XScan(ctx, path)
		err4 := c.XContScan(ctx, path, func(Reply, []Record) error { return nil })
		for i, err := range []error{err1, err2, err3, err4} {
			if path == longest+"x" && i != 1 {
				continue // a shorter verb leaves more room
			}
			if !errors.Is(err, ErrPath) {
				t.Errorf("request %d of %d bytes: got %v", i, len(path), err)
			}
		}
	}
	if err := c.AllMatchScan(ctx, longest, ignore); errors.Is(err, ErrPath) {
		t.Errorf("the longest path: %v", err)
	}
}

func TestScan(t *testing.T) {
	const early = "/p/b: Access denied. ERROR\x00"
	tests := []struct {
		name, reply string
		want        string // the reply; or
		err         error
	}{
		{"clean", "/p: OK\x00", "/p: OK", nil},
		{"found", "/p: X FOUND\x00", "/p: X FOUND", nil},
		{"found below", "/p/q: X FOUND\x00", "/p/q: X FOUND", nil},
		{"excluded", "/p: Excluded\x00", "/p: Excluded", ErrExcluded},
		{"nothing", "", "", ErrNoReply},
		{"another", "/q: OK\x00", "", ErrReplySyntax},
		{"OK below", "/p/q: OK\x00", "", ErrReplySyntax},
		{"two OK", "/p: OK\x00/p: OK\x00", "", ErrUnexpectedReply},
		{"OK and found", "/p: OK\x00/p: X FOUND\x00", "/p: X FOUND", ErrUnexpectedReply},
		{"found and OK", "/p: X FOUND\x00/p: OK\x00", "/p: X FOUND", ErrUnexpectedReply},
		{"found twice", "/p: X FOUND\x00/p: Y FOUND\x00", "/p: X FOUND", ErrUnexpectedReply},
		{"found, then broken off", "/p: X FOUND\x00/p", "/p: X FOUND", ErrBrokenReply},
		{"unknown", "UNKNOWN COMMAND\x00", "UNKNOWN COMMAND", ErrUnknownCommand},
		{"half", "/p: OK\x00/p", "", ErrBrokenReply},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := says(t, tt.reply).Scan(testContext(t), "/p")
			if !errors.Is(err, tt.err) || (err == nil || r.Found()) && r.String() != tt.want {
				t.Errorf("got %v, %v", r, err)
			}
		})
	}
	for reply, want := range map[string]string{
		early + "/p: OK\x00":        "Access denied.", // of the error
		early + "/p/c: X FOUND\x00": "X",
		"/p/c: X FOUND\x00" + early: "X",
	} {
		var answer *ReplyError
		r, err := says(t, reply).Scan(testContext(t), "/p")
		if !errors.As(err, &answer) || answer.Reply.Text != "Access denied." || r.Text != want {
			t.Errorf("%q: got %v, %v", reply, r, err)
		}
	}
}

func TestScanSends(t *testing.T) {
	var got atomic.Value
	c := playServer(t, "unix", func(nc net.Conn) {
		got.Store(readZ(nc))
		io.WriteString(nc, "/a\nb: X FOUND\x00/a\nb: X FOUND\x00")
	})
	ctx, n := testContext(t), 0
	count := func(Reply) error { n++; return nil }
	for verb, ask := range map[string]func(context.Context, string, func(Reply) error) error{
		"CONTSCAN": c.ContScan, "MULTISCAN": c.MultiScan, "ALLMATCHSCAN": c.AllMatchScan,
	} {
		if err := ask(ctx, "/a\nb", count); err != nil || n != 2 || got.Load() != "z"+verb+" /a\nb" {
			t.Errorf("%s: %q, %d replies, %v", verb, got.Load(), n, err)
		}
		n = 0
	}
	enough := errors.New("enough")
	if err := c.ContScan(ctx, "/a\nb", func(Reply) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
}

// takeDescriptor receives one message and returns its bytes and descriptors.
func takeDescriptor(nc net.Conn) (string, []int) {
	b, oob := make([]byte, 100), make([]byte, 100)
	n, oobn, _, _, err := nc.(*net.UnixConn).ReadMsgUnix(b, oob)
	if err != nil {
		return err.Error(), nil
	}
	var fds []int
	messages, _ := syscall.ParseSocketControlMessage(oob[:oobn])
	for i := range messages {
		got, _ := syscall.ParseUnixRights(&messages[i])
		fds = append(fds, got...)
	}
	return string(b[:n]), fds
}

func tempFile(t *testing.T, content string, flag int) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestFildes(t *testing.T) {
	c := playServer(t, "unix", func(nc net.Conn) {
		cmd, fds := takeDescriptor(nc)
		if cmd != "zFILDES\x00\x00" || len(fds) != 1 {
			t.Errorf("got %q with %d descriptors", cmd, len(fds))
			return
		}
		b := make([]byte, 100)
		n, _ := syscall.Pread(fds[0], b, 0)
		syscall.Close(fds[0])
		io.WriteString(nc, "fd[7]: "+string(b[:n])+" FOUND\x00")
	})
	r, err := c.Fildes(testContext(t), tempFile(t, "name", os.O_RDONLY))
	if err != nil || r.Object != "fd[7]" || r.Text != "name" {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestFildesRefuses(t *testing.T) {
	ctx := testContext(t)
	played := func(nc net.Conn) {
		if got, _ := io.ReadAll(nc); len(got) > 0 {
			t.Errorf("the server got %q", got)
		}
	}
	c := playServer(t, "unix", played)
	pr, pw, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pr.Close()
	defer pw.Close()
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	const oPath = 0x200000
	pathOnly, err := os.OpenFile(dir.Name(), oPath, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pathOnly.Close()
	closed := tempFile(t, "x", os.O_RDONLY)
	closed.Close()
	for i, f := range []*os.File{tempFile(t, "x", os.O_WRONLY), tempFile(t, "x", oPath), pr, dir, pathOnly, closed} {
		if r, err := c.Fildes(ctx, f); !errors.Is(err, ErrDescriptor) || r != (Reply{}) {
			t.Errorf("%d: got %+v, %v", i, r, err)
		}
	}
	tcp := playServer(t, "tcp", played)
	if _, err := tcp.Fildes(ctx, tempFile(t, "x", os.O_RDONLY)); !errors.Is(err, ErrDescriptor) {
		t.Errorf("got %v", err)
	}
}

func TestExtended(t *testing.T) {
	const engine, summary = "stream: engine=a category=ok ENGINE\x00", "stream: category=ok version=1 SUMMARY\x00"
	tests := []struct {
		name, reply string
		records     int
		err         error
	}{
		{"whole", "stream: OK\x00" + engine + engine + summary + "END\x00", 3, nil},
		{"error", "stream: scan failed ERROR\x00" + engine + summary + "END\x00", 2, new(ReplyError)},
		{"clamd", "UNKNOWN COMMAND\x00", 0, ErrUnknownCommand},
		{"limit", "INSTREAM size limit exceeded. ERROR\x00", 0, ErrInstreamLimit},
		{"limit and END", "INSTREAM size limit exceeded. ERROR\x00END\x00", 0, ErrInstreamLimit},
		{"no END", "stream: OK\x00" + engine + summary, 2, ErrBrokenReply},
		{"half", "stream: OK\x00" + engine[:9], 0, ErrBrokenReply},
		{"only END", "END\x00", 0, ErrReplySyntax},
		{"records only", engine + "END\x00", 0, ErrReplySyntax},
		{"nothing", "", 0, ErrNoReply},
		{"two", "stream: OK\x00stream: OK\x00END\x00", 0, ErrUnexpectedReply},
		{"wrong record", "stream: OK\x00stream: x ENGINE\x00END\x00", 0, ErrReplySyntax},
		{"many", "stream: OK\x00" + strings.Repeat(engine, maxRecords+1) + "END\x00", maxRecords, ErrReplyTooLong},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := playServer(t, "unix", func(nc net.Conn) {
				if cmd := readZ(nc); cmd != "zXINSTREAM" {
					t.Errorf("command %q", cmd)
				}
				readChunks(nc)
				io.WriteString(nc, tt.reply)
			})
			r, records, err := c.XInstream(testContext(t), strings.NewReader("x"))
			var answer *ReplyError
			right := errors.Is(err, tt.err)
			if _, any := tt.err.(*ReplyError); any {
				right = errors.As(err, &answer)
			}
			if !right || len(records) != tt.records || (err == nil) != r.OK() {
				t.Errorf("got %+v, %d records, %v", r, len(records), err)
			}
		})
	}
}

func TestXContScan(t *testing.T) {
	c := says(t, "/d/a: X FOUND\x00/d/a: engine=x ENGINE\x00/d/a: SUMMARY\x00/d: OK\x00/d: SUMMARY\x00END\x00")
	var got []string
	err := c.XContScan(testContext(t), "/d", func(r Reply, records []Record) error {
		got = append(got, r.String())
		for _, rec := range records {
			got = append(got, rec.String())
		}
		return nil
	})
	want := "/d/a: X FOUND|/d/a: engine=x ENGINE|/d/a: SUMMARY|/d: OK|/d: SUMMARY"
	if err != nil || strings.Join(got, "|") != want {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestXScanAndXFildes(t *testing.T) {
	ctx := testContext(t)
	r, records, err := says(t, "/p: X FOUND\x00/p: engine=a ENGINE\x00END\x00").XScan(ctx, "/p")
	if err != nil || !r.Found() || len(records) != 1 || records[0].Get("engine") != "a" {
		t.Errorf("got %+v, %+v, %v", r, records, err)
	}
	if r, _, err := says(t, "/p/q: OK\x00END\x00").XScan(ctx, "/p"); !errors.Is(err, ErrReplySyntax) {
		t.Errorf("an OK about another file: got %+v, %v", r, err)
	}
	c := playServer(t, "unix", func(nc net.Conn) {
		cmd, fds := takeDescriptor(nc)
		for _, fd := range fds {
			syscall.Close(fd)
		}
		if cmd == "zXFILDES\x00\x00" && len(fds) == 1 {
			io.WriteString(nc, "fd[3]: OK\x00fd[3]: SUMMARY\x00END\x00")
		}
	})
	r, records, err = c.XFildes(ctx, tempFile(t, "x", os.O_RDONLY))
	if err != nil || !r.OK() || len(records) != 1 {
		t.Errorf("got %+v, %+v, %v", r, records, err)
	}
}

package protocol

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

const md5sum = "44d88612fea8a8f36de82e1278abb02f"

func TestParseReply(t *testing.T) {
	tests := []struct {
		line, object string
		want         Reply
	}{
		{"stream: OK", "stream", Reply{Object: "stream", Word: "OK"}},
		{"stream: Eicar-Test-Signature FOUND", "stream", Reply{Object: "stream", Text: "Eicar-Test-Signature", Word: "FOUND"}},
		{"stream: Heuristics.Encrypted.Zip FOUND", "stream", Reply{Object: "stream", Text: "Heuristics.Encrypted.Zip", Word: "FOUND"}},
		{"stream: Can't allocate memory ERROR", "stream", Reply{Object: "stream", Text: "Can't allocate memory", Word: "ERROR"}},
		{"stream: N(" + md5sum + ":68) FOUND", "stream", Reply{Object: "stream", Text: "N", Word: "FOUND", Hash: md5sum, Size: 68}},
		{"stream: N(code=3/category=virus) FOUND", "stream", Reply{Object: "stream", Text: "N(code=3/category=virus)", Word: "FOUND"}},
		{"stream: code=2/category=encrypted/action=ok OK", "stream", Reply{Object: "stream", Text: "code=2/category=encrypted/action=ok", Word: "OK"}},
		{"fd[10]: OK", objectDescriptor, Reply{Object: "fd[10]", Word: "OK"}},
		{"fd[9]: Not a regular file ERROR", objectDescriptor, Reply{Object: "fd[9]", Text: "Not a regular file", Word: "ERROR"}},
		{"/p: OK", "/p", Reply{Object: "/p", Word: "OK"}},
		{"/a: b/x: y: Eicar FOUND", "/a: b/x: y", Reply{Object: "/a: b/x: y", Text: "Eicar", Word: "FOUND"}},
		{"/p: OK: OK", "/p: OK", Reply{Object: "/p: OK", Word: "OK"}},
		{"/p: X FOUND: OK", "/p: X FOUND", Reply{Object: "/p: X FOUND", Word: "OK"}},
		{"/a\nb\xff: OK", "/a\nb\xff", Reply{Object: "/a\nb\xff", Word: "OK"}},
		{"/p: OK", "/p/", Reply{Object: "/p", Word: "OK"}},
		{"/p/q: E FOUND", "//p//q", Reply{Object: "/p/q", Text: "E", Word: "FOUND"}},
		{"//p: OK", "//p", Reply{Object: "//p", Word: "OK"}},
		{"/p: File path check failure: No such file or directory. ERROR", "/p", Reply{Object: "/p", Text: "File path check failure: No such file or directory.", Word: "ERROR"}},
		{"/d/x: y: E FOUND", "/d", Reply{Object: "/d/x: y", Text: "E", Word: "FOUND"}},
		{"/d/x: y: File path check failure: Permission denied. ERROR", "/d/", Reply{Object: "/d/x: y", Text: "File path check failure: Permission denied.", Word: "ERROR"}},
		{"/p: Excluded", "/p", Reply{Object: "/p", Text: "Excluded"}},
		{"/p: Excluded (another filesystem)", "/p", Reply{Object: "/p", Text: "Excluded (another filesystem)"}},
		{"INSTREAM size limit exceeded. ERROR", "stream", Reply{Text: "INSTREAM size limit exceeded.", Word: "ERROR"}},
		{"UNKNOWN COMMAND", "stream", Reply{Text: "UNKNOWN COMMAND"}},
		{"COMMAND UNAVAILABLE", "/p", Reply{Text: "COMMAND UNAVAILABLE"}},
		{"COMMAND READ TIMED OUT", "stream", Reply{Text: "COMMAND READ TIMED OUT"}},
		{"ENGINE VERSION MISMATCH: 1.4.5 != 1.4.6. ERROR", "stream", Reply{Text: "ENGINE VERSION MISMATCH: 1.4.5 != 1.4.6.", Word: "ERROR"}},
	}
	for _, tt := range tests {
		got, err := ParseReply(tt.line, tt.object)
		if err != nil || got != tt.want {
			t.Errorf("%q about %q:\ngot  %+v, %v\nwant %+v", tt.line, tt.object, got, err, tt.want)
			continue
		}
		if got.String() != tt.line {
			t.Errorf("%q is written %q", tt.line, got.String())
		}
		if answered := tt.want.Word == "OK" || tt.want.Word == "FOUND"; (got.Err() == nil) != answered {
			t.Errorf("%q: Err is %v", tt.line, got.Err())
		}
	}
}

func TestParseReplyRefuses(t *testing.T) {
	tests := []struct{ line, object string }{
		{"", "stream"}, {"OK", "stream"}, {"FOUND", "stream"}, {"stream: ", "stream"}, {"stream:OK", "stream"},
		{"stream: ok", "stream"}, {"stream: OK ", "stream"}, {"stream: OK\r", "stream"}, {"stream: OK\n", "stream"},
		{"stream: FOUND", "stream"}, {"stream: ERROR", "stream"}, {"stream:  FOUND", "stream"}, {"stream: x  FOUND", "stream"},
		{"stream: not OK", "stream"}, {"stream: a=b/ OK", "stream"}, {"stream: a=b c=d OK", "stream"}, {"stream:  OK", "stream"},
		{"stream: x\x07 FOUND", "stream"}, {"stream: maybe", "stream"}, {"1: stream: OK", "stream"}, {"streamx: OK", "stream"},
		{"/p: OK", "stream"}, {"stream/x: OK", "stream"}, {"fd[1]: OK", "stream"}, {"stream: OK", objectDescriptor},
		{"fd[]: OK", objectDescriptor}, {"fd[x]: OK", objectDescriptor}, {"fd[1: OK", objectDescriptor}, {"fd[1]/x: OK", objectDescriptor},
		{"/q: OK", "/p"}, {"/pq: OK", "/p"}, {"/p: q: OK", "/p"}, {"p: OK", "/p"}, {"/p: Excluded OK", "/p"}, {": OK", "/p"},
		{"/d/x OK", "/d"}, {"UNKNOWN COMMAND ", "stream"}, {"PONG", "stream"}, {"stream: OK\x00stream: OK", "stream"},
	}
	for _, tt := range tests {
		if got, err := ParseReply(tt.line, tt.object); !errors.Is(err, ErrReplySyntax) {
			t.Errorf("%q about %q: got %+v, %v", tt.line, tt.object, got, err)
		}
	}
}

func TestReplyErrors(t *testing.T) {
	tests := []struct {
		line string
		want error
	}{
		{"INSTREAM size limit exceeded. ERROR", ErrInstreamLimit},
		{"UNKNOWN COMMAND", ErrUnknownCommand},
		{"Command invalid inside IDSESSION. ERROR", ErrUnknownCommand},
		{"COMMAND UNAVAILABLE", ErrCommandUnavailable},
		{"COMMAND READ TIMED OUT", ErrCommandTimeout},
	}
	for _, tt := range tests {
		r, err := ParseReply(tt.line, "/p")
		if err != nil || !errors.Is(r.Err(), tt.want) {
			t.Errorf("%q: %v, %v", tt.line, r.Err(), err)
		}
	}
	r, err := ParseReply("/p: UNKNOWN COMMAND ERROR", "/p")
	if err != nil || errors.Is(r.Err(), ErrUnknownCommand) {
		t.Errorf("a reason about a path became ErrUnknownCommand: %v, %v", r.Err(), err)
	}
}

func TestCutID(t *testing.T) {
	tests := []struct {
		line string
		id   int
		rest string
		ok   bool
	}{
		{"1: stream: OK", 1, "stream: OK", true},
		{"123456789: PONG", 123456789, "PONG", true},
		{"12: ", 12, "", true},
		{"0: PONG", 0, "0: PONG", false}, {"01: PONG", 0, "01: PONG", false}, {"-1: PONG", 0, "-1: PONG", false},
		{"1234567890: PONG", 0, "1234567890: PONG", false}, {"1:PONG", 0, "1:PONG", false}, {"stream: OK", 0, "stream: OK", false},
		{"", 0, "", false}, {": x", 0, ": x", false}, {"+1: x", 0, "+1: x", false},
	}
	for _, tt := range tests {
		if id, rest, ok := cutID(tt.line); id != tt.id || rest != tt.rest || ok != tt.ok {
			t.Errorf("%q: got %d, %q, %v", tt.line, id, rest, ok)
		}
	}
}

func ExampleParseReply() {
	// The name of a file may look like a reply, so the object must be known.
	r, err := ParseReply("/srv/x: OK: Eicar-Test-Signature FOUND", "/srv/x: OK")
	fmt.Println(r.Object, "|", r.Text, "|", r.Found(), err)
	// Output: /srv/x: OK | Eicar-Test-Signature | true <nil>
}

// FuzzParseReply checks that a reply is OK only if the line is the object, ": " and OK,
// with at most polyclam's annotation.
func FuzzParseReply(f *testing.F) {
	f.Add("stream: OK", "stream")
	f.Add("fd[3]: X FOUND", objectDescriptor)
	f.Add("/d/x: y: File path check failure: x. ERROR", "/d")
	f.Add("//p: OK", "//p/")
	f.Fuzz(func(t *testing.T, line, object string) {
		r, err := ParseReply(line, object)
		if err != nil {
			if r != (Reply{}) {
				t.Fatalf("%+v together with error %v", r, err)
			}
			return
		}
		if r.String() != line {
			t.Fatalf("%q became %q", line, r.String())
		}
		if !r.OK() {
			return
		}
		rest, ok := strings.CutPrefix(line, r.Object+": ")
		if !ok || rest != "OK" && !annotation.MatchString(strings.TrimSuffix(rest, " OK")) {
			t.Fatalf("%q is parsed as OK: %+v", line, r)
		}
		if r.isAbout(object) && object != objectDescriptor && strings.ReplaceAll(r.Object, "/", "") != strings.ReplaceAll(object, "/", "") {
			t.Fatalf("%q is parsed as OK about %q", line, object)
		}
	})
}

package proxy

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"polyclam/backends/testfile"
	"polyclam/protocol"
	"polyclam/protocol/extended"
	"polyclam/proxy/client"
)

// hostileName returns a file name made of pieces that could break a reply.
func hostileName(random *rand.Rand) string {
	pieces := []string{
		"\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x85", "\u0085", "\u2028", "\x01", "\x7f", "\t", `\`, `\\`, `\x0a`, " ", ": ", ":", "\"",
		"a", "é", "\xff", "OK", "FOUND", "ERROR", "END", ": OK", ": X FOUND", ": x ERROR", "\nEND\n", "\n2: stream: OK\n", "a=b ENGINE", "category=ok SUMMARY",
	}
	var b strings.Builder
	for range 1 + random.IntN(40) {
		if random.IntN(4) == 0 {
			b.WriteByte(byte(1 + random.IntN(255)))
			continue
		}
		b.WriteString(pieces[random.IntN(len(pieces))])
	}
	name := strings.ReplaceAll(b.String(), "/", "_")
	return name[:min(len(name), 200)] + "x" // neither "." nor ".."
}

// TestNames checks that each line of a reply is one status line or one record, whatever the
// names of files, and that only the last word of a status line is a verdict.
func TestNames(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	names := []string{"a: OK\nb", "a\nEND", "a: x ERROR\nb", "a: x FOUND\r\nb: OK", "x\r2: stream: OK\rx", `b\x0ac`, strings.Repeat("d", 120) + ": OK: OK"}
	for range 25 {
		names = append(names, hostileName(random))
	}
	ts := newServer(t, nil, eicarOnly())
	for _, name := range names {
		dir := tree(t, name, string(testfile.EICAR()))
		path := filepath.Join(dir, name)
		escaped := protocol.EscapeObject(path)
		for _, verb := range []string{"CONTSCAN", "MULTISCAN", "SCAN", "ALLMATCHSCAN"} {
			const found = ": Eicar-Test-Signature FOUND"
			for _, form := range []struct{ send, want string }{
				{"n" + verb + " " + dir + "\n", escaped + found + "\n"},
				{verb + " " + dir, escaped + found + "\n"},
				{"z" + verb + " " + dir + "\x00", path + found + "\x00"},
			} {
				if form.send[0] != 'z' && form.send[0] != 'n' && verb == "ALLMATCHSCAN" {
					continue // needs a prefix
				}
				if got := ts.ask(form.send); got != form.want {
					t.Errorf("%q: got %q, want %q", form.send, got, form.want)
				}
			}
		}
		if got, want := ts.ask("nIDSESSION\nnSCAN "+dir+"\nnEND\n"), "1: "+escaped+": Eicar-Test-Signature FOUND\n"; got != want {
			t.Errorf("session: got %q, want %q", got, want)
		}
		for _, form := range []string{"nXCONTSCAN %s\n", "zXCONTSCAN %s\x00", "nXSCAN %s\n"} {
			wantRecords(t, ts.ask(fmt.Sprintf(form, dir)), path)
		}
	}
}

// wantRecords checks the whole reply to XSCAN or XCONTSCAN of one infected file.
func wantRecords(t *testing.T, reply, path string) {
	t.Helper()
	lines := strings.FieldsFunc(reply, func(r rune) bool { return r == '\n' || r == 0 })
	if len(lines) != 4 || lines[3] != "END" || lines[0] != protocol.EscapeObject(path)+": Eicar-Test-Signature FOUND" {
		t.Errorf("%q: got %q", path, lines)
		return
	}
	for i, word := range []string{"ENGINE", "SUMMARY"} {
		r, err := extended.Parse(lines[1+i])
		if err != nil || r.Object != path || r.Word != word || r.Get("category") != "virus" {
			t.Errorf("%q: got %+v, %v", path, r, err)
		}
	}
}

// The library's own client reads the names that the server writes.
func TestNamesClient(t *testing.T) {
	files := []string{"plain", "x", "a: OK\nb", "x", "a\nEND", "x", `back\slash\x0a`, "x", strings.Repeat("long ", 40) + " OK", "x"}
	dir := tree(t, files...)
	ts := newServer(t, nil, eicarOnly())
	client := protocol.Client{Network: "unix", Address: ts.addr}
	var want, got []string
	for i := 0; i < len(files); i += 2 {
		want = append(want, filepath.Join(dir, files[i]))
	}
	for r, err := range client.XContScan(t.Context(), dir) {
		got = append(got, r.Object)
		if err != nil || !r.OK() || len(r.Records) != 2 || r.Records[0].Object != r.Object || r.Records[1].Object != r.Object {
			t.Errorf("%+v, %v", r, err)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	for _, path := range want {
		if r, err := client.XScan(t.Context(), path); err != nil || r.Object != path {
			t.Errorf("%q: got %+v, %v", path, r, err)
		}
	}
}

// TestNamesInErrors checks the same for errors with a path and for the lines of STATS.
func TestNamesInErrors(t *testing.T) {
	name := "a: OK\nb"
	dir := tree(t, name+"/", "", "denied/"+name, "x")
	ts := newServer(t, nil, eicarOnly())
	missing := dir + "/no\rthing"
	if got, want := ts.ask("nSCAN "+missing+"\n"), protocol.EscapeObject(missing)+": File path check failure: No such file or directory. ERROR\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if os.Getuid() != 0 {
		if err := os.Chmod(filepath.Join(dir, "denied", name), 0); err != nil {
			t.Fatal(err)
		}
		if got, want := ts.ask("nSCAN "+dir+"/denied\n"), dir+`/denied/a: OK\x0ab: Access denied. ERROR`+"\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	defer ts.running.begin(client.Key{}, "SCAN", "/a: OK\nEND\n\tx: y FOUND")()
	defer ts.running.begin(client.Key{}, "SCAN", "/b: OK")()
	for line := range bytes.Lines([]byte(ts.ask("zSTATS\x00"))) {
		line = bytes.TrimRight(line, "\n\x00")
		for _, word := range []string{" OK", " FOUND", " ERROR"} {
			if bytes.HasSuffix(line, []byte(word)) {
				t.Errorf("STATS has the line %q", line)
			}
		}
	}
	if got := ts.ask("zSTATS\x00"); strings.Count(got, "\nEND") != 1 {
		t.Errorf("got %q", got)
	}
}

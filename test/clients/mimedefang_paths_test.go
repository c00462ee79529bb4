package clients

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/test/clamdtest"
)

const usePaths = "$PolyclamPaths = 1;"

// fileReply turns a reply about a stream into polyclamd's reply to XSCAN for a file.
func fileReply(file, reply string) string {
	return strings.ReplaceAll(strings.TrimSuffix(reply, "END\n"), "stream:", file+":")
}

// TestPolyclamModulePathReplies covers replies about the files of a folder.
func TestPolyclamModulePathReplies(t *testing.T) {
	t.Parallel()
	perl, folder := startCaller(t, ""), mailFolder(t, map[string][]byte{"a": []byte("a"), "b": []byte("b")})
	work := folder + "/Work"
	for _, tt := range []struct{ name, reply, triple string }{
		{"ok", fileReply(work+"/a", moduleOK) + fileReply(work+"/b", moduleOK) + "END\n", "0 ok ok"},
		{"encrypted", fileReply(work+"/a", moduleOK) + fileReply(work+"/b", moduleEncrypted) + "END\n", "2 encrypted ok"},
		{"odd names", fileReply(work+"/a: x=y OK", moduleOK) + fileReply(work+`/b\x0a c=d: ENGINE`, moduleEncrypted) + "END\n", "2 encrypted ok"},
		{"encrypted and failed", fileReply(work+"/a", moduleEncrypted) + fileReply(work+"/b", moduleFailed) + "END\n", "2 encrypted tempfail"},
		{"a file refused", fileReply(work+"/a", moduleOK) + work + "/b: Access denied. ERROR\nEND\n", "999 cannot-execute tempfail"},
		{"all refused", work + ": Access denied. ERROR\nEND\n", "999 cannot-execute tempfail"},
		{"no file", work + ": OK\nEND\n", "999 swerr tempfail"},
		{"an OK without records", fileReply(work+"/a", moduleOK) + work + "/b: OK\nEND\n", "999 swerr tempfail"},
		{"a file elsewhere", fileReply(work+"/a", moduleOK) + fileReply("/etc/passwd", moduleOK) + "END\n", "999 swerr tempfail"},
		{"a folder with the same beginning", fileReply(work+"2/a", moduleOK) + "END\n", "999 swerr tempfail"},
		{"a stream", moduleOK, "999 swerr tempfail"},
		{"one of two engines' records at another file", fileReply(work+"/a", moduleOK) +
			strings.Replace(fileReply(work+"/b", moduleEncrypted), work+"/b: engine=clamav", work+"/a: engine=clamav", 1) + "END\n", "999 swerr tempfail"},
		{"cut between files", fileReply(work+"/a", moduleOK), "999 interrupted tempfail"},
		{"unavailable", "COMMAND UNAVAILABLE\n", "999 cannot-execute tempfail"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := startModuleFake(t)
			f.do(says(tt.reply), false)
			if got := perl.call(t, messageScan, folder, usePaths, f.socket); got.triple != tt.triple {
				t.Errorf("got %s, %s", got.triple, got.messages)
			}
			if commands, _ := f.came(); len(commands) != 1 || commands[0] != "nXSCAN "+work {
				t.Errorf("sent %q", commands)
			}
		})
	}
}

// TestPolyclamModulePlainPaths covers clamd's replies to SCAN.
func TestPolyclamModulePlainPaths(t *testing.T) {
	t.Parallel()
	perl, folder := startCaller(t, ""), mailFolder(t, map[string][]byte{"a": []byte("a"), "b": []byte("b")})
	work := folder + "/Work"
	for _, tt := range []struct{ name, reply, triple string }{
		{"ok", work + ": OK\n", "0 ok ok"},
		{"virus", work + "/b: X FOUND\n", "1 virus quarantine"},
		{"virus behind ok", work + "/a: OK\n" + work + "/b: X FOUND\n", "1 virus quarantine"},
		{"an error before ok", work + "/a: Access denied. ERROR\n" + work + ": OK\n", "999 cannot-execute tempfail"},
		{"excluded", work + ": Excluded\n", "999 swerr tempfail"},
		{"cut", work + ": OK\n" + work + "/b: X FOU", "999 interrupted tempfail"},
		{"nothing", "", "999 interrupted tempfail"},
		{"another path", "/etc: OK\n", "999 swerr tempfail"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := startModuleFake(t)
			f.do(func(command string, _ []byte, _ net.Conn) string {
				if strings.HasPrefix(command, "nX") {
					return "UNKNOWN COMMAND\n"
				}
				return tt.reply
			}, false)
			if got := perl.call(t, messageScan, folder, usePaths, f.socket); got.triple != tt.triple {
				t.Errorf("got %s, %s", got.triple, got.messages)
			}
		})
	}
}

// TestPolyclamModuleReal uses real daemons in every mode: streams, paths, TCP, the
// listener for MIMEDefang's own routines, an ordinary listener, and a clamd.
func TestPolyclamModuleReal(t *testing.T) {
	t.Parallel()
	e := startEngines(t)
	clamd := clamdtest.Start(t, clamdtest.Options{TCP: true, Conf: []string{"AlertEncrypted yes"}})
	listener := snippet(t, "mimedefang.md", "listener") + snippet(t, "mimedefang.md", "listener-tcp")
	polyclam := clamdtest.StartPolyclam(t, config(listener, worldUp)+e.engines(worldUp), clamdtest.Options{})
	generic := clamdtest.StartPolyclam(t, "[[listener]]\naddress = \"unix:${DIR}/p.sock\"\nstatus = \"annotated\"\n"+e.engines(worldUp), clamdtest.Options{})
	perl := startCaller(t, "")

	everything := func(names ...string) string {
		parts := map[string][]byte{}
		for _, name := range names {
			parts["msg-1-1-"+name] = samples()[name].content
		}
		return mailFolder(t, parts)
	}
	folders := map[string]string{
		"clean":               everything(sampleClean),
		"encrypted":           everything(sampleClean, sampleEncrypted),
		"virus and encrypted": everything(sampleClean, sampleEICARZip, sampleEncrypted),
		"nothing":             everything(),
	}
	for _, tt := range []struct {
		name, address, settings string
		want                    map[string]string
	}{
		{"stream", polyclam.Socket, "", nil},
		{"stream, annotated", generic.Socket, "", nil},
		{"stream, TCP", polyclam.TCP, "", nil},
		{"path", polyclam.Socket, usePaths, nil},
		{"path, annotated", generic.Socket, usePaths, nil},
		{"path, TCP", polyclam.TCP, usePaths, map[string]string{
			"clean": "999 cannot-execute tempfail", "encrypted": "999 cannot-execute tempfail",
			"virus and encrypted": "999 cannot-execute tempfail", "nothing": "999 cannot-execute tempfail"}},
		{"clamd, stream", clamd.Socket, "", map[string]string{"encrypted": "1 encrypted quarantine"}},
		{"clamd, TCP", clamd.TCP, "", map[string]string{"encrypted": "1 encrypted quarantine"}},
		{"clamd, path", clamd.Socket, usePaths, map[string]string{"encrypted": "1 encrypted quarantine"}},
	} {
		for mail, usual := range map[string]string{
			"clean": "0 ok ok", "encrypted": "2 encrypted ok", "virus and encrypted": "1 virus quarantine", "nothing": "0 ok ok",
		} {
			want := usual
			if other, ok := tt.want[mail]; ok {
				want = other
			}
			got := perl.call(t, messageScan, folders[mail], tt.settings, tt.address)
			if strings.HasPrefix(tt.name, "clamd, path") && mail == "virus and encrypted" && got.triple == "1 encrypted quarantine" {
				continue // clamd ends SCAN of a folder at the first infected file
			}
			if got.triple != want {
				t.Errorf("%s, %s: %s, want %s; %s", tt.name, mail, got.triple, want, got.messages)
			}
		}
	}
	private := folders["clean"]
	if err := os.Chmod(filepath.Join(private, "Work", "msg-1-1-"+sampleClean), 0o600); err != nil {
		t.Fatal(err)
	}
	if !clamdtest.Unprivileged() {
		return
	}
	for settings, want := range map[string]string{"": "0 ok ok", usePaths: "999 cannot-execute tempfail"} {
		if got := perl.call(t, messageScan, private, settings, polyclam.Socket); got.triple != want {
			t.Errorf("a file that polyclamd may not read, %q: %s, want %s; %s", settings, got.triple, want, got.messages)
		}
	}
}

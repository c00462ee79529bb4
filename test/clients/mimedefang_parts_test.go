package clients

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// byContent answers according to what the object contains.
func byContent(_ string, content []byte, _ net.Conn) string {
	switch {
	case strings.Contains(string(content), "virus"):
		return moduleVirus
	case strings.Contains(string(content), "secret"):
		return moduleEncrypted
	case strings.Contains(string(content), "broken"):
		return moduleFailed
	case strings.Contains(string(content), "gone"):
		return ""
	}
	return moduleOK
}

// TestPolyclamModuleParts wants the strongest category of all parts, and the strictest
// action.
func TestPolyclamModuleParts(t *testing.T) {
	t.Parallel()
	perl, f := startCaller(t, ""), startModuleFake(t)
	for _, tt := range []struct{ parts, triple, virus string }{
		{"a a a", "0 ok ok", ""},
		{"a secret a", "2 encrypted ok", "Heuristics.Encrypted.Zip"},
		{"secret virus a", "1 virus quarantine", "Win.Test.EICAR"},
		{"virus secret", "1 virus quarantine", "Win.Test.EICAR"},
		{"secret broken", "2 encrypted tempfail", "Heuristics.Encrypted.Zip"},
		{"broken secret", "2 encrypted tempfail", "Heuristics.Encrypted.Zip"},
		{"broken virus", "1 virus quarantine", "Win.Test.EICAR"},
		{"a gone a", "999 interrupted tempfail", ""},
		{"gone virus", "1 virus quarantine", "Win.Test.EICAR"},
	} {
		parts := map[string][]byte{}
		for i, word := range strings.Fields(tt.parts) {
			parts[string(rune('a'+i))] = []byte(word)
		}
		f.do(byContent, false)
		got := perl.call(t, messageScan, mailFolder(t, parts), "", f.socket)
		if got.triple != tt.triple || got.name != tt.virus {
			t.Errorf("%s: %s, $VirusName %q", tt.parts, got.triple, got.name)
		}
	}
}

// TestPolyclamModuleWork covers entries of Work that are not regular files or are
// missing.
func TestPolyclamModuleWork(t *testing.T) {
	t.Parallel()
	perl, f := startCaller(t, ""), startModuleFake(t)
	f.do(byContent, false)
	for _, tt := range []struct {
		name   string
		change func(work string) error
		triple string
	}{
		{"nothing, then the mail itself", func(string) error { return nil }, "0 ok ok"},
		{"nothing, and the mail is a virus", func(work string) error {
			return os.WriteFile(filepath.Join(work, "../INPUTMSG"), []byte("virus"), 0o644)
		}, "1 virus quarantine"},
		{"nothing, and no mail", func(work string) error { return os.Remove(filepath.Join(work, "../INPUTMSG")) }, "999 swerr tempfail"},
		{"no Work", os.Remove, "999 swerr tempfail"},
		{"a FIFO", func(work string) error { return syscall.Mkfifo(filepath.Join(work, "fifo"), 0o644) }, "999 swerr tempfail"},
		{"a link to a virus", func(work string) error {
			os.WriteFile(filepath.Join(work, "../elsewhere"), []byte("virus"), 0o644)
			return os.Symlink("../elsewhere", filepath.Join(work, "link"))
		}, "1 virus quarantine"},
		{"a link to a folder", func(work string) error { return os.Symlink("/", filepath.Join(work, "link")) }, "999 swerr tempfail"},
		{"a broken link", func(work string) error { return os.Symlink("nowhere", filepath.Join(work, "link")) }, "999 swerr tempfail"},
		{"a virus in a folder", func(work string) error {
			os.Mkdir(filepath.Join(work, "sub"), 0o755)
			return os.WriteFile(filepath.Join(work, "sub", "x y\nz"), []byte("virus"), 0o644)
		}, "1 virus quarantine"},
		{"folders without end", func(work string) error {
			return os.MkdirAll(filepath.Join(work, strings.Repeat("d/", 40)), 0o755)
		}, "999 swerr tempfail"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			folder := mailFolder(t, nil)
			if err := tt.change(filepath.Join(folder, "Work")); err != nil {
				t.Fatal(err)
			}
			if got := perl.call(t, messageScan, folder, "", f.socket); got.triple != tt.triple {
				t.Errorf("got %s, %s", got.triple, got.messages)
			}
		})
	}
}

func TestPolyclamModuleEntity(t *testing.T) {
	t.Parallel()
	perl, f := startCaller(t, ""), startModuleFake(t)
	f.do(byContent, false)
	folder := mailFolder(t, map[string][]byte{"virus.txt": []byte("virus"), "ok.txt": []byte("a")})
	body := func(text string) string {
		return "$entity = MIME::Entity->build(Type => 'text/plain', Data => 'x'); $entity->bodyhandle(" + text + ")"
	}
	for settings, triple := range map[string]string{
		body("MIME::Body::File->new('./Work/virus.txt')"):           "1 virus quarantine",
		body("MIME::Body::File->new('" + folder + "/Work/ok.txt')"): "0 ok ok",
		body("MIME::Body::File->new('./Work/none.txt')"):            "999 swerr tempfail",
		body("MIME::Body::InCore->new('virus')"):                    "999 swerr tempfail",
		"$entity = MIME::Entity->build(Type => 'multipart/mixed')":  "0 ok ok",
	} {
		if got := perl.call(t, entityScan, folder, settings, f.socket); got.triple != triple {
			t.Errorf("%s: %s, %s", settings, got.triple, got.messages)
		}
	}
}

package e2e

import (
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"polyclam/test/clamdtest"
)

// TestEngineKilled kills clamd during 200 scans. No client may get OK for an object
// that clamd has not called OK, and scans work again once clamd is back.
func TestEngineKilled(t *testing.T) {
	clamd := clamdtest.Start(t, clamdtest.Options{Conf: []string{"MaxThreads 4"}})
	r := newRelay(t, clamd.Socket)
	polyclam := clamdtest.StartPolyclam(t, config(r.socket, `transport = "stream"`+"\nmax_scans = 4\ntimeout = \"20s\""), clamdtest.Options{})

	const scans = 200
	filler := strings.Repeat("some words that take clamd a moment\n", 8<<10)
	replies := make([]string, scans)
	var wg sync.WaitGroup
	for i := range scans {
		wg.Go(func() {
			text := fmt.Sprintf("content-%d-of-this-test %s", i, filler)
			if i%2 == 1 {
				text += clamdtest.One
			}
			replies[i], _ = ask("unix", polyclam.Socket, instream(text))
		})
	}
	poll(t, "some answers of clamd", func() bool { return r.count() > scans/10 })
	clamd.Kill()
	wg.Wait()

	told := map[string]int{}
	for i, reply := range replies {
		word := lastWord(reply)
		told[word]++
		checkTold(t, i, reply, word, r.answer(fmt.Sprintf("content-%d-of-this-test", i)))
	}
	t.Logf("count: scans while the engine is killed: %v", told)
	if told["ERROR"] == 0 || told["OK"]+told["FOUND"] == 0 {
		t.Errorf("clamd was not killed in the middle: %v", told)
	}

	clamd.Restart()
	poll(t, "a scan by the restarted clamd", func() bool {
		reply, _ := ask("unix", polyclam.Socket, instream("content-1000-of-this-test"))
		return reply == "stream: OK\x00"
	})
}

func checkTold(t *testing.T, i int, reply, word, engine string) {
	t.Helper()
	infected := i%2 == 1
	switch {
	case word == "OK" && (infected || !strings.Contains(engine, ": OK\x00")):
		t.Errorf("scan %d: client was told %q, clamd had said %q", i, reply, engine)
	case word == "FOUND" && (!infected || !strings.Contains(engine, " FOUND\x00")):
		t.Errorf("scan %d: client was told %q, clamd had said %q", i, reply, engine)
	case word == "":
		t.Errorf("scan %d: no reply", i)
	case word != "OK" && word != "FOUND" && word != "ERROR":
		t.Errorf("scan %d: reply %q", i, reply)
	}
}

func lastWord(reply string) string {
	reply = strings.TrimRight(reply, "\x00\n")
	return reply[strings.LastIndexByte(reply, ' ')+1:]
}

// TestKilled kills polyclamd during 200 uploads and while engines read named copies: no
// file and no child is left, and the next start takes over the socket.
func TestKilled(t *testing.T) {
	for _, store := range []string{"memfd", "tmpfile"} {
		t.Run(store, func(t *testing.T) { killDuringUploads(t, store) })
	}
}

func killDuringUploads(t *testing.T, store string) {
	clamd := clamdtest.Start(t, clamdtest.Options{Conf: []string{"LogClean yes"}})
	text := strings.Replace(config(clamd.Socket, ""), "[spool]", fmt.Sprintf("[spool]\nstore = %q", store), 1)
	polyclam := clamdtest.StartPolyclam(t, text, clamdtest.Options{})
	before := names(t, polyclam.Dir, clamd.Dir)
	shm := names(t, "/dev/shm")

	const uploads = 200
	content := strings.Repeat("x", 600<<10) // more than the spool keeps in memory
	var conns []net.Conn
	for i := range uploads {
		c, err := net.Dial("unix", polyclam.Socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(hang))
		request := "zINSTREAM\x00" + chunk(content) + chunk(content)[:1000*(i+1)]
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	checkOpenFiles(t, polyclam.Pid, polyclam.Dir)
	polyclam.Kill()
	for i, c := range conns {
		if reply, _ := io.ReadAll(c); len(reply) > 0 {
			t.Errorf("upload %d was answered %q", i, reply)
		}
	}
	after := names(t, polyclam.Dir, clamd.Dir)
	for name := range after {
		if !before[name] {
			t.Errorf("left behind: %s", name)
		}
	}
	for name := range names(t, "/dev/shm") {
		if !shm[name] && strings.Contains(name, "polyclam") {
			t.Errorf("left behind: %s", name)
		}
	}
	if err := polyclam.Restart(); err != nil {
		t.Fatalf("the next start: %v", err)
	}
	if reply, err := ask("unix", polyclam.Socket, instream(clamdtest.EICAR())); reply != "stream: "+clamdtest.EICARName+" FOUND\x00" {
		t.Errorf("after the restart: %q, %v", reply, err)
	}
}

// names are all files below the directories. A daemon's directory in the spool
// directory has a new name at every start and does not count.
func names(t *testing.T, dirs ...string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				found[path] = true
			}
			return nil // removed in the meantime
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// checkOpenFiles checks polyclamd's open files in the middle of the uploads: none has a
// name that a crash could leave, and at least one has no name.
func checkOpenFiles(t *testing.T, pid int, dir string) {
	t.Helper()
	nameless := 0
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil {
			continue
		}
		if strings.HasSuffix(target, " (deleted)") {
			nameless++
			continue
		}
		if info, err := os.Lstat(target); err == nil && info.Mode().IsRegular() && strings.HasPrefix(target, dir) {
			t.Errorf("open by name: %s", target)
		}
	}
	if nameless == 0 {
		t.Error("no upload is in a file: the test is too small")
	}
}

// TestKilledWithCopies kills polyclamd while clamd reads a named copy of an object,
// which ALLMATCHSCAN needs: the next start removes it.
func TestKilledWithCopies(t *testing.T) {
	clamd := clamdtest.Start(t, clamdtest.Options{})
	polyclam := clamdtest.StartPolyclam(t, config(clamd.Socket, ""), clamdtest.Options{})
	dir := clamdtest.Dir(t, "")
	slow := filepath.Join(dir, "slow")
	write(t, slow, strings.Repeat("Every word of this has to be looked at. ", 1<<20)+clamdtest.One, 0o644)
	before := names(t, polyclam.Dir)
	c, err := net.Dial("unix", polyclam.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "zALLMATCHSCAN "+slow+"\x00"); err != nil {
		t.Fatal(err)
	}
	poll(t, "a named copy", func() bool { return len(names(t, polyclam.Dir)) > len(before) })
	polyclam.Kill()
	c.SetDeadline(time.Now().Add(hang))
	if reply, _ := io.ReadAll(c); strings.Contains(string(reply), ": OK") {
		t.Errorf("answered %q", reply)
	}
	if err := polyclam.Restart(); err != nil {
		t.Fatal(err)
	}
	for name := range names(t, polyclam.Dir) {
		if !before[name] {
			t.Errorf("still there after the next start: %s", name)
		}
	}
	if dirs, err := os.ReadDir(filepath.Join(polyclam.Dir, "tmp")); err != nil || len(dirs) > 1 {
		t.Errorf("directories in the spool directory: %v, %v", dirs, err)
	}
}

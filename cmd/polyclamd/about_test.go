package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"polyclam/protocol/extended"
	"polyclam/test/testkit"
)

// serverRecord returns the SERVER record of the daemon at a Unix socket.
func serverRecord(t *testing.T, socket string) extended.Server {
	t.Helper()
	reply, err := ask("unix", socket, "zXSTATUS\x00")
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(reply, "\x00")
	r, err := extended.Parse(line)
	if err != nil {
		t.Fatal(err)
	}
	return r.Server()
}

// TestAboutReload checks that XSTATUS reports a refused reload until one succeeds.
func TestAboutReload(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket := filepath.Join(dir, "s")
	conf := writeConfig(t, dir, unixListener(socket))
	loaded := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if err := os.Chtimes(conf, loaded, loaded); err != nil {
		t.Fatal(err)
	}
	d := startDaemon(t, conf, nil)
	s := serverRecord(t, socket)
	if s.Config != conf || !s.ConfigTime.Equal(loaded) || !s.ConfigRefused.IsZero() || s.ConfigProblem != "" || s.MemoryNeeded == 0 {
		t.Errorf("at first: %+v", s)
	}
	if s.UID != int64(os.Geteuid()) || s.User == "" || s.Groups == "" || !strings.HasPrefix(s.GIDs, strconv.Itoa(os.Getegid())) {
		t.Errorf("the user is %+v", s)
	}

	writeConfig(t, dir, unixListener(socket)+"[limits]\nstream = \"lots\"\nwaiting = -1\n")
	d.reload(refused)
	s = serverRecord(t, socket)
	since := s.ConfigRefused
	if !strings.HasPrefix(s.ConfigProblem, conf+":") || !strings.Contains(s.ConfigProblem, ": limits.stream: ") || !strings.HasSuffix(s.ConfigProblem, " (and 1 more)") || time.Since(since) > time.Hour {
		t.Errorf("after a refusal: %+v", s)
	}
	if !s.ConfigTime.Equal(loaded) {
		t.Errorf("the file in use is of %v, want %v", s.ConfigTime, loaded)
	}
	if err := os.Remove(conf); err != nil {
		t.Fatal(err)
	}
	d.reload(refused)
	if s = serverRecord(t, socket); !s.ConfigRefused.Equal(since) || !strings.Contains(s.ConfigProblem, "no such file") {
		t.Errorf("after a second refusal: %+v, want since %v", s, since)
	}

	writeConfig(t, dir, unixListener(socket))
	d.reload(reloaded)
	if s = serverRecord(t, socket); !s.ConfigRefused.IsZero() || s.ConfigProblem != "" || s.ConfigTime.Equal(loaded) {
		t.Errorf("after a reload: %+v", s)
	}
	d.stop()
}

func TestList(t *testing.T) {
	if got := list([]string{"a", "b"}); got != "a,b" {
		t.Errorf("got %q", got)
	}
	got := list(slices.Repeat([]string{"65534"}, 500))
	if len(got) > maxList || len(got) < maxList-6 || !strings.HasSuffix(got, ",65534") {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}

func TestNoteRefusal(t *testing.T) {
	var a extended.About
	first := time.Unix(1e9, 0)
	noteRefusal(&a, errors.New("one\ntwo"), first.Add(-time.Hour), first)
	noteRefusal(&a, errors.New("three"), first.Add(-time.Hour), first.Add(time.Hour))
	if !a.ConfigRefused.Equal(first) || a.ConfigProblem != "three" {
		t.Errorf("got %+v, want the first time and the last problem", a)
	}
	edited := first.Add(2 * time.Hour)
	noteRefusal(&a, errors.New("four"), edited, edited.Add(time.Minute))
	if want := edited.Add(time.Minute); !a.ConfigRefused.Equal(want) {
		t.Errorf("after another edit: %+v, want the time %v", a, want)
	}
}

package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"polyclam/test/chaos/history"
)

// The exit statuses of the scanner. All others are failures.
const (
	exitClean     = 0
	exitVirus     = 1
	exitEncrypted = 2
	exitFailed    = 3
)

// scan is the whole life of the command-line scanner.
func scan(name, modeFile, log, path string) error {
	n, err := newNode(name, modeFile, log)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	s := n.begin(rand.Int(), 1) // a run has more scans than there are process IDs
	if err := s.receive(f, -1, func() error { return s.print(path) }); err != nil {
		return err
	}
	return s.print(path)
}

// print prints the verdict and ends the process.
func (s *scanning) print(path string) error {
	s.rec.Fault, s.rec.Verdict, s.rec.Name = s.m.Fault, s.verdict(), s.j.Virus
	text, status := s.report(path)
	pause := time.Duration(s.m.Delay) * time.Millisecond
	switch s.m.Fault {
	case "mute", "deaf", "stall", "refuse":
		s.n.await(func(m mode) bool { return m.Fault != s.m.Fault })
		os.Exit(exitFailed)
	case "late", "latency":
		time.Sleep(pause)
	case "crash":
		s.rec.Verdict = history.Nothing
		s.note(history.Answer)
		io.WriteString(os.Stdout, text[:s.m.N%len(text)])
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "cut": // the output is cut off, but the status is that of success
		s.rec.Verdict, s.rec.Name, status = history.Nothing, "", exitClean
		text = text[:s.m.N%(len(text)-1)]
	case "garbage":
		s.rec.Verdict, s.rec.Name, status = history.Nothing, "", exitClean
		text = garbage[s.m.N%len(garbage)]
	case "error", "wrongid", "reset":
		s.rec.Verdict, s.rec.Name = history.Nothing, ""
		text, status = "Cannot open the signatures\n", exitFailed
	case "orphan": // a child holds the output and outlives the scanner
		child := exec.Command("/bin/sleep", "60")
		child.Stdout = os.Stdout
		child.Start()
	}
	s.note(history.Answer)
	if s.m.Fault == "twice" {
		text += text
	}
	for text != "" {
		piece := len(text)
		if s.m.Fault == "drip" {
			piece = min(piece, 5)
			time.Sleep(pause)
		}
		io.WriteString(os.Stdout, text[:piece])
		text = text[piece:]
	}
	s.note(history.Answered)
	os.Exit(status)
	return nil
}

func (s *scanning) report(path string) (text string, status int) {
	var b strings.Builder
	found := 0
	if s.j.Virus != "" {
		fmt.Fprintf(&b, "%s: infected: %s\n", path, s.j.Virus)
		found, status = 1, exitVirus
	}
	if s.j.Encrypted {
		fmt.Fprintf(&b, "%s: password protected\n", path)
		status = max(status, exitEncrypted)
		if found > 0 {
			status = exitVirus
		}
	}
	if b.Len() == 0 {
		fmt.Fprintf(&b, "%s: clean\n", path)
	}
	fmt.Fprintf(&b, "Infected files: %d\n", found)
	return b.String(), status
}

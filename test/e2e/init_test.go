package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"polyclam/test/clamdtest"
)

// insideEnv is the directory of the programs when the test binary runs in its own mount
// namespace.
const insideEnv = "POLYCLAM_TEST_INIT_INSIDE"

// TestInit migrates this machine, with Debian's own clamd.conf and the default paths of
// clamd's socket and polyclam's configuration. It runs in a mount namespace in which
// /etc, /run and others are copies: the machine does not change.
func TestInit(t *testing.T) {
	if dir := os.Getenv(insideEnv); dir != "" {
		migrateInside(t, dir)
		return
	}
	for _, program := range []string{"clamd", "clamdscan", "zip"} {
		clamdtest.RequireProgram(t, program)
	}
	clamdtest.RequireRoot(t, "a mount namespace")
	if _, err := os.Stat(debianConf); err != nil {
		clamdtest.NotTested(t, "this machine has no "+debianConf)
	}
	before := fingerprint(t)
	dir := clamdtest.Dir(t, "")
	build(t, dir)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestInit$", "-test.v", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), insideEnv+"="+dir, "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	// Package syscall makes all mounts private for a child with Unshareflags. When the
	// child's PID namespace ends, every process in it ends too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Cloneflags: syscall.CLONE_NEWPID}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EINVAL) { // the latter in a chroot
		clamdtest.NotTested(t, "no mount namespace may be made here")
	}
	for line := range strings.SplitSeq(string(out), "\n") {
		if _, text, ok := strings.Cut(line, "table: "); ok {
			t.Log("table: " + text)
		}
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: TestInit") {
		t.Errorf("in the namespace: %v\n%s", err, out)
	}
	if after := fingerprint(t); after != before {
		t.Errorf("the machine is changed\nbefore: %s\nafter:  %s", before, after)
	}
}

const (
	debianConf   = "/etc/clamav/clamd.conf"
	engineConf   = "/etc/clamav/clamd-engine.conf"
	debianSocket = "/run/clamav/clamd.ctl"
	engineSocket = "/run/clamav/clamd-engine.ctl"
	polyclamConf = "/etc/polyclam/config.toml"
)

// fingerprint is the part of the machine that the test must not change.
func fingerprint(t *testing.T) string {
	t.Helper()
	conf, err := os.ReadFile(debianConf)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%d bytes of clamd.conf", len(conf))
	for _, path := range []string{debianConf, engineConf, polyclamConf, "/etc/clamav", "/run", debianSocket, engineSocket, "/var/lib/clamav", "/var/log/clamav"} {
		info, err := os.Stat(path)
		if err != nil {
			text += "; no " + path
			continue
		}
		text += fmt.Sprintf("; %s %v", path, info.Mode())
		if !strings.HasPrefix(path, "/run") { // other programs use it
			text += info.ModTime().Format(" 15:04:05.000")
		}
	}
	return text
}

// build builds polyclam and polyclamd in dir.
func build(t *testing.T, dir string) {
	t.Helper()
	out, err := exec.Command("go", "build", "-o", dir+"/", "polyclam/cmd/polyclam", "polyclam/cmd/polyclamd").CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
}

// migrateInside is the migration, step by step as an administrator does it.
func migrateInside(t *testing.T, programs string) {
	if os.Getpid() != 1 {
		t.Fatal("this is for a process of a namespace of its own")
	}
	s := &site{t: t, programs: programs}
	s.furnish()
	confBefore := s.read(debianConf)

	clamd := s.start("clamd", nil, "/usr/sbin/clamd", "--foreground=true")
	s.answers(debianSocket)
	alone := s.scanAll()

	found := s.run("init", "--output", polyclamConf, "--move-clamd")
	s.show(found)
	s.stop(clamd)
	if s.read(debianConf) != confBefore {
		t.Error("clamd.conf is changed")
	}

	written := s.read(polyclamConf)
	s.start("clamd", nil, "/usr/sbin/clamd", "--foreground=true", "--config-file="+engineConf)
	s.answers(engineSocket)
	daemonLog := s.startPolyclamd()
	s.answers(debianSocket)

	s.compare(alone, s.scanAll(), daemonLog)
	s.write(polyclamConf, written)
	s.encrypted()
	s.again()
	s.reload()
}

// show prints what init found, and how much it wrote.
func (s *site) show(found string) {
	s.t.Helper()
	text := s.read(polyclamConf)
	var active int
	for line := range strings.Lines(text) {
		if trimmed := strings.TrimSpace(line); trimmed != "" && !strings.HasPrefix(trimmed, "#") {
			active++
		}
	}
	s.t.Logf("table: polyclam init: %d lines of configuration, %d of them without comments; %d lines of clamd.conf stay as they are",
		strings.Count(text, "\n"), active, strings.Count(s.read(debianConf), "\n"))
	for line := range strings.Lines(found) {
		if line = strings.TrimRight(line, "\n"); line == "" {
			break // the end of what it found
		}
		s.t.Log("table: " + line)
	}
	for _, want := range []string{"address = \"unix:" + debianSocket + "\"", "address = \"unix:" + engineSocket + "\"", "stream = ", "max_scans = 12"} {
		if !strings.Contains(text, want) {
			s.t.Errorf("the configuration has no %q:\n%s", want, text)
		}
	}
}

// initScans are clamdscan command lines without --config-file: it reads
// /etc/clamav/clamd.conf.
var initScans = [][]string{
	{"--stream", "clean.txt"}, {"--fdpass", "clean.txt"}, {"clean.txt"},
	{"--stream", "eicar.com"}, {"--fdpass", "eicar.com"}, {"eicar.com"},
	{"--stream", "eicar.zip"}, {"--fdpass", "eicar.zip"},
	{"--stream", "missing"}, {"--fdpass", "missing"}, {"missing"},
	{"--stream", "directory"}, {"--fdpass", "directory"}, {"directory"}, {"--multiscan", "--fdpass", "directory"},
	{"--stream", "clean"}, {"--fdpass", "clean"}, {"clean"},
	{"--ping", "5"}, {"--version"},
}

// scanAll runs them all.
func (s *site) scanAll() []printed {
	s.t.Helper()
	var results []printed
	for _, args := range initScans {
		args = slices.Clone(args)
		if last := len(args) - 1; !strings.HasPrefix(args[0], "--ping") && !strings.HasPrefix(args[last], "--") {
			args[last] = filepath.Join(s.samples, args[last])
		}
		cmd := exec.Command("clamdscan", args...)
		cmd.Dir = "/"
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		cmd.Run()
		lines := strings.SplitAfter(clamdscanTimes.ReplaceAllString(out.String(), ""), "\n")
		slices.Sort(lines)
		results = append(results, printed{strings.Join(lines, ""), cmd.ProcessState.ExitCode()})
	}
	return results
}

var scannedLine = regexp.MustCompile(`"message":"scanned"`)

// compare checks that clamdscan prints the same through polyclam, and that it used
// polyclam.
func (s *site) compare(alone, through []printed, daemonLog string) {
	s.t.Helper()
	same := 0
	statuses := map[int]int{}
	for i, args := range initScans {
		if alone[i] == through[i] {
			same++
		} else {
			s.t.Errorf("clamdscan %v\nclamd alone:      %+v\nthrough polyclam: %+v", args, alone[i], through[i])
		}
		statuses[alone[i].status]++
	}
	for _, want := range []int{0, 1, 2} {
		if statuses[want] == 0 {
			s.t.Errorf("no scan of clamd alone ended with status %d: %v", want, statuses)
		}
	}
	var scans int
	poll(s.t, "polyclamd logs its scans", func() bool {
		scans = len(scannedLine.FindAllString(s.read(daemonLog), -1))
		return scans >= 15
	})
	s.t.Logf("table: clamdscan, same command lines, same clamd.conf: %d of %d with the same output and exit status (0: %d, 1: %d, 2: %d); polyclamd logged %d scans",
		same, len(initScans), statuses[0], statuses[1], statuses[2], scans)
}

// encrypted checks that polyclam's own client reports what clamd's protocol cannot
// express.
func (s *site) encrypted() {
	s.t.Helper()
	path := filepath.Join(s.samples, "encrypted.zip")
	cmd := exec.Command(filepath.Join(s.programs, "polyclam"), "scan", path)
	out, _ := cmd.CombinedOutput()
	if status := cmd.ProcessState.ExitCode(); status != 3 || !strings.Contains(string(out), "encrypted") {
		s.t.Errorf("polyclam scan: exit status %d\n%s", status, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "encrypted") {
			s.t.Log("table: polyclam scan: " + strings.Join(strings.Fields(strings.ReplaceAll(line, s.samples+"/", "")), " "))
		}
	}
}

// again runs init on the migrated machine.
func (s *site) again() {
	s.t.Helper()
	conf, engine := s.read(polyclamConf), s.read(engineConf)
	out := s.run("init", "--move-clamd", "--output", polyclamConf)
	if !strings.Contains(out, "polyclam has already taken clamd's place") || !strings.Contains(out, "clamd-engine.conf is already up to date") {
		s.t.Errorf("a second run says:\n%s", out)
	}
	if s.read(polyclamConf) != conf || s.read(engineConf) != engine {
		s.t.Error("a second run changed a file")
	}
	out = s.run("init", "--move-clamd", "--output", polyclamConf, "--force")
	if s.read(polyclamConf) != conf || s.read(engineConf) != engine {
		s.t.Errorf("a second run with --force does not come to the same:\n%s", out)
	}
	s.t.Log("table: a second polyclam init: polyclam is in clamd's place already, nothing is written")
}

// reload makes clamd reload its database through polyclam, as freshclam does.
func (s *site) reload() {
	s.t.Helper()
	write(s.t, "/var/lib/clamav/more.ndb", fmt.Sprintf("Polyclam.Test.One:0:*:%x\n", clamdtest.One), 0o644)
	write(s.t, filepath.Join(s.samples, "one"), clamdtest.One, 0o644)
	s.must("clamdscan", "--reload")
	poll(s.t, "clamd has the new signature", func() bool {
		out, _ := exec.Command("clamdscan", "--fdpass", "--no-summary", filepath.Join(s.samples, "one")).Output()
		return strings.Contains(string(out), clamdtest.OneName+" FOUND")
	})
	s.t.Log("table: clamdscan --reload, through polyclam: clamd has the new signature")
}

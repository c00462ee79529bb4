package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"polyclam/test/child"
	"polyclam/test/clamdtest"
)

// site is the machine inside the namespace.
type site struct {
	t        *testing.T
	programs string
	clamav   *user.User
	samples  string
}

// furnish mounts copies over everything the migration changes, as the distribution
// ships it, with a small database.
func (s *site) furnish() {
	s.t.Helper()
	var err error
	if s.clamav, err = user.Lookup("clamav"); err != nil {
		s.t.Fatal(err)
	}
	// The test's files below /tmp stay visible.
	copies := filepath.Join(s.programs, "copies")
	write(s.t, filepath.Join(copies, "lib", "test.ndb"), signature(), 0o644)
	s.must("cp", "-a", "/etc", copies+"/etc")
	s.must("mkdir", "-p", copies+"/run/clamav", copies+"/run/polyclam", copies+"/log", copies+"/lib")
	s.must("chown", "-R", "clamav:clamav", copies+"/run/clamav", copies+"/run/polyclam", copies+"/log", copies+"/lib")
	for from, to := range map[string]string{"etc": "/etc", "run": "/run", "lib": "/var/lib/clamav", "log": "/var/log/clamav"} {
		if err := syscall.Mount(filepath.Join(copies, from), to, "", syscall.MS_BIND, ""); err != nil {
			s.t.Fatalf("mount %s: %v", to, err)
		}
	}
	os.RemoveAll("/etc/polyclam")
	os.Remove(engineConf)
	s.samples = filepath.Join(s.programs, "samples")
	write(s.t, filepath.Join(s.samples, "clean.txt"), "clean\n", 0o644)
	write(s.t, filepath.Join(s.samples, "eicar.com"), clamdtest.EICAR(), 0o644)
	write(s.t, filepath.Join(s.samples, "eicar.zip"), zipped(s.t, "eicar.com", clamdtest.EICAR()), 0o644)
	write(s.t, filepath.Join(s.samples, "directory/a/clean.txt"), "clean\n", 0o644)
	write(s.t, filepath.Join(s.samples, "directory/eicar.com"), clamdtest.EICAR(), 0o644)
	write(s.t, filepath.Join(s.samples, "clean/a/clean.txt"), "clean\n", 0o644)
	s.must("zip", "-q", "-j", "-P", "secret", filepath.Join(s.samples, "encrypted.zip"), filepath.Join(s.samples, "clean.txt"))
}

// signature finds the test file.
func signature() string {
	return fmt.Sprintf("Eicar-Test-Signature:0:*:%x\n", clamdtest.EICAR())
}

func (s *site) must(program string, args ...string) {
	s.t.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		s.t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
}

func (s *site) read(path string) string {
	s.t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(data)
}

func (s *site) write(path, text string) {
	s.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// daemon is a process that runs until the test ends it.
type daemon struct {
	*child.Process
	log string // path
}

// start runs a daemon whose output goes to a file.
func (s *site) start(name string, as *syscall.Credential, program string, args ...string) *daemon {
	s.t.Helper()
	out, err := os.CreateTemp(s.programs, name+"-*.log")
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	p, err := child.Start(cmd)
	if err != nil {
		s.t.Fatal(err)
	}
	d := &daemon{p, out.Name()}
	s.t.Cleanup(func() {
		s.stop(d)
		if s.t.Failed() {
			s.t.Logf("%s:\n%s", name, s.read(d.log))
		}
	})
	return d
}

func (s *site) stop(d *daemon) {
	s.t.Helper()
	if _, inTime := d.Stop(hang); !inTime {
		s.t.Errorf("%s does not end", d.log)
	}
}

// startPolyclamd runs polyclamd as clamd's user, who may create sockets in clamd's
// directory, and returns the path of its log.
func (s *site) startPolyclamd() string {
	s.t.Helper()
	uid, _ := strconv.Atoi(s.clamav.Uid)
	gid, _ := strconv.Atoi(s.clamav.Gid)
	d := s.start("polyclamd", &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, filepath.Join(s.programs, "polyclamd"))
	return d.log
}

func (s *site) answers(socket string) {
	s.t.Helper()
	poll(s.t, socket+" answers PING", func() bool {
		reply, err := ask("unix", socket, "zPING\x00")
		return err == nil && reply == "PONG\x00"
	})
}

// run runs polyclam and returns its output. It must succeed.
func (s *site) run(args ...string) string {
	s.t.Helper()
	out, err := exec.Command(filepath.Join(s.programs, "polyclam"), args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("polyclam %v: %v\n%s", args, err, out)
	}
	return string(out)
}

package clamdtest

import (
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"polyclam/test/child"
	"strings"
	"testing"
)

// RequireReal is the environment variable that turns the skip of [Require] into a
// failure.
const RequireReal = "POLYCLAM_REQUIRE_REAL"

// Require skips the test if no clamd is installed. With POLYCLAM_REQUIRE_REAL=1 in the
// environment the test fails instead, so that a CI that intends to use the real
// programs does not pass without them.
func Require(t testing.TB) { t.Helper(); RequireProgram(t, "clamd") }

// RequireProgram is [Require] for any program. It returns the program's path.
func RequireProgram(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		// Debian keeps daemons outside an ordinary user's PATH.
		path, err = exec.LookPath(filepath.Join("/usr/sbin", name))
	}
	if err == nil {
		return path
	}
	NotTested(t, name+" is not installed")
	return ""
}

// RequireRoot is [Require] for root's rights, which what needs.
func RequireRoot(t testing.TB, what string) {
	t.Helper()
	if os.Geteuid() != 0 {
		NotTested(t, what+" needs root")
	}
}

// NotTested skips the test with a reason, or fails it, see [Require].
func NotTested(t testing.TB, why string) {
	t.Helper()
	if os.Getenv(RequireReal) == "1" {
		t.Fatalf("%s, and %s=1 demands it", why, RequireReal)
	}
	t.Skipf("NOT TESTED: %s (set %s=1 to make this a failure)", why, RequireReal)
}

// Options say how to start a daemon.
type Options struct {
	// Conf has lines for clamd.conf, e.g. "StreamMaxLength 1000". They come first, and
	// clamd takes the first value of an option.
	Conf []string
	// TCP makes clamd also listen on a port of 127.0.0.1.
	TCP bool
	// Port is the TCP port of clamd and of ${PORT}, for daemons that replace each
	// other, see [Port]. Empty: any free port.
	Port string
	// Daily gives clamd a database with a version to report, see DailyVersion.
	Daily bool
	// TempSize puts clamd's TemporaryDirectory on a tmpfs of this size, as for mount, in a
	// mount namespace of clamd alone, see [Clamd.Fill]. It needs root.
	TempSize string
	// User is the account to use if root runs the test; empty: nobody.
	User string
	// Groups are supplementary groups of that account, if root runs the test.
	Groups []string
	// WorkDir is the daemon's working directory; empty: its Dir. User needs access to
	// it.
	WorkDir string
	// Binary is the polyclamd to run; empty: the one built from this module.
	Binary string
	// Args are more arguments for polyclamd.
	Args []string
	// Env has more variables for polyclamd's environment, "NAME=value".
	Env []string
	// HideLog keeps the daemon's log out of the output of a failed test.
	HideLog bool
	// AfterExit is called by Polyclam.Stop after polyclamd has ended, to check what it
	// left.
	AfterExit func(t testing.TB, p *Polyclam)
}

// Clamd is a running clamd.
type Clamd struct {
	Socket string // path of the Unix socket
	TCP    string // "127.0.0.1:port", empty without Options.TCP
	Dir    string // contains configuration, database, socket, temporary files
	Conf   string // path of clamd.conf
	Pid    int

	t       testing.TB
	account account
	temp    string // Options.TempSize
	workDir string
	log     *output
	proc    *child.Process
}

// Start runs a real clamd with a tiny database and waits until it answers. It calls
// [Require] first.
func Start(t testing.TB, o Options) *Clamd {
	t.Helper()
	Require(t)
	d := &Clamd{t: t, account: lookup(t, o.User).in(t, o.Groups), Dir: Dir(t, o.User), log: new(output), workDir: o.WorkDir, temp: o.TempSize}
	if d.workDir == "" {
		d.workDir = d.Dir
	}
	d.Socket, d.Conf = filepath.Join(d.Dir, "clamd.sock"), filepath.Join(d.Dir, "clamd.conf")
	for _, sub := range []string{"db", "tmp"} {
		if err := os.Mkdir(filepath.Join(d.Dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
		d.account.give(t, filepath.Join(d.Dir, sub))
	}
	if err := os.WriteFile(filepath.Join(d.Dir, "db", "test.ndb"), []byte(Signatures()), 0o644); err != nil {
		t.Fatal(err)
	}
	if o.Daily {
		d.addDaily()
	}
	if !o.HideLog {
		showLog(t, "clamd", d.log)
	}
	t.Cleanup(d.Kill)
	d.start(o)
	return d
}

func (d *Clamd) addDaily() {
	d.t.Helper()
	container, err := daily()
	if err == nil {
		err = os.WriteFile(filepath.Join(d.Dir, "db", "daily.cud"), container, 0o644)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// Signatures has the signatures of this package's constants, as body signatures for any
// target at any offset.
func Signatures() string {
	var b strings.Builder
	for _, sig := range [][2]string{
		{"Eicar-Test-Signature", EICAR()}, {"Polyclam.Test.One", One}, {"Polyclam.Test.Two", Two},
		{strings.TrimSuffix(OddName, suffix), Odd}, {strings.TrimSuffix(LongName, suffix), Long},
	} {
		fmt.Fprintf(&b, "%s:0:*:%s\n", sig[0], hex.EncodeToString([]byte(sig[1])))
	}
	return b.String()
}

// start writes the configuration and runs clamd. Another program may take the port
// before clamd binds it, hence the attempts.
func (d *Clamd) start(o Options) {
	d.t.Helper()
	var err error
	for range 5 {
		if err = d.configure(o); err != nil {
			d.t.Fatal(err)
		}
		if err = d.run(); err == nil {
			return
		}
		if !o.TCP {
			break
		}
	}
	d.t.Fatalf("clamd: %v", err)
}

func (d *Clamd) configure(o Options) error {
	lines := append([]string{}, o.Conf...)
	lines = append(lines,
		"Foreground yes", "LogTime yes", "LogVerbose yes",
		"LocalSocket "+d.Socket, "LocalSocketMode 666",
		"DatabaseDirectory "+filepath.Join(d.Dir, "db"), "TemporaryDirectory "+filepath.Join(d.Dir, "tmp"),
		"FixStaleSocket yes", "SelfCheck 0",
	)
	if o.TCP {
		port, err := o.port()
		if err != nil {
			return err
		}
		d.TCP = "127.0.0.1:" + port
		lines = append(lines, "TCPSocket "+port, "TCPAddr 127.0.0.1")
	}
	return os.WriteFile(d.Conf, []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}

func (d *Clamd) run() error {
	command, account := []string{RequireProgram(d.t, "clamd"), "--config-file=" + d.Conf}, d.account
	if d.temp != "" {
		command, account = d.onTmpfs(command), accountOfTest()
	}
	proc, err := launch(account, d.workDir, d.log, command[0], command[1:]...)
	if err != nil {
		return err
	}
	d.proc, d.Pid = proc, proc.PID()
	if err := ready(proc, "unix", d.Socket); err != nil {
		proc.Kill()
		return err
	}
	return nil
}

// Kill kills clamd with SIGKILL, as a crash would, and returns when it is gone. It
// leaves the socket file. Killing it twice is no error.
func (d *Clamd) Kill() {
	if d.proc != nil {
		d.proc.Kill()
	}
}

// Restart kills clamd if it still runs and starts it again with the same configuration,
// socket and port.
func (d *Clamd) Restart() {
	d.t.Helper()
	d.Kill()
	if err := d.run(); err != nil {
		d.t.Fatalf("clamd: restart: %v", err)
	}
}

// Log returns what clamd has printed so far.
func (d *Clamd) Log() string { return d.log.String() }

// Ended reports whether clamd is no longer running.
func (d *Clamd) Ended() bool { return d.proc.Ended() }

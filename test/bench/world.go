package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"polyclam/test/bench/nullclamd"
)

// nullCommand runs this program as the null clamd.
const nullCommand = "null-clamd"

func serveNull(socket string) error {
	s, err := nullclamd.Listen(socket)
	if err != nil {
		return err
	}
	return s.Serve()
}

// A way leads to an engine: directly, or through a program in front of it.
type way struct {
	name   string
	socket string
	daemon *daemon // the program in front; nil: none
	engine *daemon // that the way leads to, if it is another one than the engine's
}

// An engine is a scanning daemon with the ways to it. The first way is direct, the
// second through HAProxy, the third through polyclamd.
type engine struct {
	name   string
	about  string
	daemon *daemon
	ways   []way
}

const (
	direct = iota
	haproxy
	polyclam
	baseline // another build of polyclamd, if any
)

// world is everything that was started.
type world struct {
	options options
	dir     string
	memory  string // another directory, on a tmpfs; empty: none
	clamd   *engine
	init    *engine // clamd as installed, and polyclamd in front of a clamd as polyclam init sets it up
	null    *engine
	daemons []*daemon
}

// newWorld starts everything and waits until it answers.
func newWorld(o options) (*world, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	w := &world{options: o, dir: dir}
	if err := w.start(); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *world) start() error {
	if w.options.binary == "" {
		w.options.binary = filepath.Join(w.dir, "polyclamd")
		out, err := exec.Command("go", "build", "-o", w.options.binary, "polyclam/cmd/polyclamd").CombinedOutput()
		if err != nil {
			return fmt.Errorf("go build polyclamd: %w\n%s", err, out)
		}
	}
	if w.options.add != "" && w.options.baseline == "" {
		w.options.baseline = w.options.binary
	}
	var err error
	if w.options.wants("clamd") || w.options.wants("idle") {
		if w.clamd, err = w.startClamd(); err != nil {
			return err
		}
	}
	if w.options.wants("init") {
		if w.init, err = w.startInit(); err != nil {
			return err
		}
	}
	w.null, err = w.startNull()
	return err
}

func (w *world) startClamd() (*engine, error) {
	d, err := w.launchClamd("clamd", filepath.Join(w.dir, "tmp"))
	if err != nil {
		return nil, err
	}
	return w.surround("clamd", "a real clamd with a tiny database", d)
}

// startInit starts two clamds: one has its temporary files on the disk, like a clamd as
// distributions install it. The other has them in memory, and polyclamd asks it, as after
// polyclam init.
func (w *world) startInit() (*engine, error) {
	disk, err := w.launchClamd("disk", filepath.Join(w.dir, "disk-tmp"))
	if err != nil {
		return nil, err
	}
	if w.memory, err = os.MkdirTemp("/dev/shm", "bench"); err != nil {
		return nil, err
	}
	memory, err := w.launchClamd("tmpfs", filepath.Join(w.memory, "tmp"))
	if err != nil {
		return nil, err
	}
	e := &engine{name: "disk", about: "clamd as installed; polyclam in front of a clamd with temporary files in memory, as after polyclam init", daemon: disk}
	e.ways = []way{{name: "direct", socket: filepath.Join(w.dir, "disk.sock")}}
	tmpfs := &engine{name: "tmpfs", ways: []way{{name: "direct", socket: filepath.Join(w.dir, "tmpfs.sock")}}}
	if err := errors.Join(disk.ready(e.ways[direct].socket), memory.ready(tmpfs.ways[direct].socket)); err != nil {
		return nil, err
	}
	for _, name := range w.fronts() {
		asked, other := tmpfs, memory
		if name == "haproxy" {
			asked, other = e, nil
		}
		y, err := w.inFront(asked, name, "")
		if err != nil {
			return nil, err
		}
		y.engine = other
		e.ways = append(e.ways, y)
	}
	return e, nil
}

// launchClamd starts a clamd with a tiny database, whose temporary files are in tmp.
func (w *world) launchClamd(name, tmp string) (*daemon, error) {
	program, err := find("clamd")
	if err != nil {
		return nil, err
	}
	db := filepath.Join(w.dir, name+"-db")
	for _, dir := range []string{db, tmp} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, err
		}
	}
	// EICAR in hexadecimal digits, anywhere in any file.
	const signature = "Eicar-Test-Signature:0:*:58354f2150254041505b345c505a58353428505e2937434329377d24" +
		"45494341522d5354414e444152442d414e544956495255532d544553542d46494c452124482b482a\n"
	if err := os.WriteFile(filepath.Join(db, "test.ndb"), []byte(signature), 0o600); err != nil {
		return nil, err
	}
	conf := w.write(name+".conf", "Foreground yes\nLocalSocket "+filepath.Join(w.dir, name+".sock")+"\nDatabaseDirectory "+db+
		"\nTemporaryDirectory "+tmp+"\nSelfCheck 0\n")
	return w.launch(name, program, "--config-file="+conf)
}

func (w *world) startNull() (*engine, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	d, err := w.launch("null", self, nullCommand, filepath.Join(w.dir, "null.sock"))
	if err != nil {
		return nil, err
	}
	return w.surround("null", "a null clamd, which only reads", d)
}

// surround puts HAProxy and polyclamd in front of an engine.
func (w *world) surround(name, about string, d *daemon) (*engine, error) {
	e := &engine{name: name, about: about, daemon: d}
	e.ways = append(e.ways, way{name: "direct", socket: filepath.Join(w.dir, name+".sock")})
	if err := d.ready(e.ways[direct].socket); err != nil {
		return nil, err
	}
	for _, name := range w.fronts() {
		y, err := w.inFront(e, name, "")
		if err != nil {
			return nil, err
		}
		e.ways = append(e.ways, y)
	}
	return e, nil
}

// fronts are the names of the indirect ways.
func (w *world) fronts() []string {
	if w.options.baseline == "" {
		return []string{"haproxy", "polyclam"}
	}
	return []string{"haproxy", "polyclam", "baseline"}
}

// inFront starts a program in front of an engine. suffix distinguishes several for one
// engine.
func (w *world) inFront(e *engine, name, suffix string) (way, error) {
	id := name + "-" + e.name + suffix
	y := way{name: name, socket: filepath.Join(w.dir, id+".sock")}
	engine := e.ways[direct].socket
	program, err := w.options.binary, error(nil)
	conf := polyclamConf(y.socket, engine)
	if name == "polyclam" {
		conf += strings.ReplaceAll(w.options.add, "{socket}", y.socket)
	}
	args := []string{"--config=" + w.write(id+".conf", conf)}
	switch name {
	case "haproxy":
		program, err = find("haproxy")
		args = []string{"-db", "-f", w.write(id+".conf", haproxyConf(y.socket, engine))}
	case "baseline":
		program = w.options.baseline
	}
	if err != nil {
		return way{}, err
	}
	if y.daemon, err = w.launch(id, program, args...); err != nil {
		return way{}, err
	}
	return y, y.daemon.ready(y.socket)
}

func haproxyConf(socket, engine string) string {
	return "global\n\tmaxconn 9000\ndefaults\n\tmode tcp\n\tmaxconn 9000\n\ttimeout connect 60s\n\ttimeout client 120s\n\ttimeout server 120s\n" +
		"frontend f\n\tbind unix@" + socket + "\n\tdefault_backend b\nbackend b\n\tserver s unix@" + engine + "\n"
}

// polyclamConf is the default configuration: the canary, one log line per scan.
func polyclamConf(socket, engine string) string {
	return "[[listener]]\naddress = \"unix:" + socket + "\"\n[[engine]]\nname = \"clamav\"\nbackend = \"clamd\"\naddress = \"unix:" + engine +
		"\"\n[log]\nlevel = \"info\"\nformat = \"json\"\n"
}

func (w *world) launch(name, program string, args ...string) (*daemon, error) {
	d, err := start(w.dir, name, program, args...)
	if err == nil {
		w.daemons = append(w.daemons, d)
	}
	return d, err
}

// stop ends a daemon before the others.
func (w *world) stop(d *daemon) {
	d.stop()
	w.daemons = slices.DeleteFunc(w.daemons, func(other *daemon) bool { return other == d })
}

// write writes a file and returns its path. A failure shows when the file is used.
func (w *world) write(name, text string) string {
	path := filepath.Join(w.dir, name)
	os.WriteFile(path, []byte(text), 0o600)
	return path
}

// close ends everything, last started first.
func (w *world) close() {
	for i := len(w.daemons) - 1; i >= 0; i-- {
		w.daemons[i].stop()
	}
	if w.options.keep {
		fmt.Fprintln(os.Stderr, "bench: kept", w.dir)
		return
	}
	os.RemoveAll(w.dir)
	if w.memory != "" {
		os.RemoveAll(w.memory)
	}
}

// alive returns an error if a daemon has ended too early.
func (w *world) alive() error {
	var errs []error
	for _, d := range w.daemons {
		errs = append(errs, d.alive())
	}
	return errors.Join(errs...)
}

func (w *world) version(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, w.options.binary, "--version").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimPrefix(strings.TrimSpace(string(out)), "polyclamd ")
}

func machine() string {
	var u unix.Utsname
	unix.Uname(&u)
	return fmt.Sprintf("%d processors, Linux %s", runtime.NumCPU(), unix.ByteSliceToString(u.Release[:]))
}

// find returns the path of a program. Debian keeps daemons outside an ordinary user's
// PATH.
func find(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath(filepath.Join("/usr/sbin", name))
	}
	if err != nil {
		return "", fmt.Errorf("%s is not installed", name)
	}
	return path, nil
}

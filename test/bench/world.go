package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"polyclam/test/bench/nullclamd"
)

// nullCommand runs this program as the null clamd.
const nullCommand = "null-clamd"

func serveNull(socket, delay string) error {
	s, err := nullclamd.Listen(socket)
	if err != nil {
		return err
	}
	if s.Delay, err = time.ParseDuration(delay); err != nil {
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
	repeat bool    // clients send the same object again and again
}

// An engine is a scanning daemon with the ways to it. The first way is direct. Where the
// constants below do not say otherwise, the second is through HAProxy and the third
// through polyclamd.
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

// world is everything that was started. Engines start when a part first needs them.
type world struct {
	options options
	dir     string
	memory  string // another directory, on a tmpfs; empty: none
	clamd   func() (*engine, error)
	init    func() (*engine, error) // clamd as installed, and polyclamd in front of a clamd as polyclam init sets it up
	null    func() (*engine, error)
	daemons []*daemon
	blocks  map[string]string // Markdown for --write
}

// newWorld builds polyclamd if it has to.
func newWorld(o options) (*world, error) {
	dir, err := os.MkdirTemp(diskDir(), "bench")
	if err != nil {
		return nil, err
	}
	w := &world{options: o, dir: dir, blocks: map[string]string{}}
	w.clamd, w.init, w.null = sync.OnceValues(w.startClamd), sync.OnceValues(w.startInit), sync.OnceValues(w.startNull)
	if err := w.build(); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// diskDir is a directory for temporary files that is not in memory, if there is one: clamd
// as distributions install it has its temporary files on a disk.
func diskDir() string {
	for _, dir := range []string{os.TempDir(), "/var/tmp"} {
		var s unix.Statfs_t
		if unix.Statfs(dir, &s) == nil && s.Type != unix.TMPFS_MAGIC {
			return dir
		}
	}
	return ""
}

func (w *world) build() error {
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
	return nil
}

func (w *world) startClamd() (*engine, error) {
	d, err := w.launchClamd("clamd", filepath.Join(w.dir, "tmp"), 0)
	if err != nil {
		return nil, err
	}
	return w.surround("clamd", "a real clamd with a tiny database", d)
}

// startInit starts two clamds: one has its temporary files on the disk, like a clamd as
// distributions install it. The other has them in memory, and polyclamd asks it, as after
// polyclam init.
func (w *world) startInit() (*engine, error) {
	disk, err := w.launchClamd("disk", filepath.Join(w.dir, "disk-tmp"), 0)
	if err != nil {
		return nil, err
	}
	if w.memory, err = os.MkdirTemp("/dev/shm", "bench"); err != nil {
		return nil, err
	}
	memory, err := w.launchClamd("tmpfs", filepath.Join(w.memory, "tmp"), 0)
	if err != nil {
		return nil, err
	}
	e := &engine{name: "disk", about: "clamd as installed; polyclam in front of a clamd with temporary files in memory, as after polyclam init", daemon: disk}
	e.ways = []way{{name: "direct", socket: w.socket("disk")}}
	if err := errors.Join(disk.ready(w.socket("disk")), memory.ready(w.socket("tmpfs"))); err != nil {
		return nil, err
	}
	for _, name := range w.fronts() {
		asked, other := "tmpfs", memory
		if name == "haproxy" {
			asked, other = "disk", nil
		}
		y, err := w.inFront(front{program: name, name: name + "-init", engines: []string{w.socket(asked)}})
		if err != nil {
			return nil, err
		}
		y.engine = other
		e.ways = append(e.ways, y)
	}
	return e, nil
}

// EICAR in hexadecimal digits, anywhere in any file.
const eicarSignature = "Eicar-Test-Signature:0:*:58354f2150254041505b345c505a58353428505e2937434329377d24" +
	"45494341522d5354414e444152442d414e544956495255532d544553542d46494c452124482b482a\n"

// launchClamd starts a clamd whose temporary files are in tmp. Its database has EICAR and
// as many more signatures, which match nothing.
func (w *world) launchClamd(name, tmp string, signatures int) (*daemon, error) {
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
	if err := os.WriteFile(filepath.Join(db, "test.ndb"), append([]byte(eicarSignature), madeSignatures(signatures)...), 0o600); err != nil {
		return nil, err
	}
	conf := w.write(name+".conf", "Foreground yes\nLocalSocket "+w.socket(name)+"\nDatabaseDirectory "+db+
		"\nTemporaryDirectory "+tmp+"\nSelfCheck 0\n")
	return w.launch(name, program, "--config-file="+conf)
}

// madeSignatures are n signatures of random bytes, in the format of ClamAV's .ndb files.
func madeSignatures(n int) []byte {
	random := rand.NewChaCha8([32]byte{7})
	var b bytes.Buffer
	pattern := make([]byte, 24)
	for i := range n {
		random.Read(pattern)
		fmt.Fprintf(&b, "Bench.Made-%d:0:*:%x\n", i, pattern)
	}
	return b.Bytes()
}

func (w *world) startNull() (*engine, error) {
	d, err := w.launchNull("null", 0)
	if err != nil {
		return nil, err
	}
	return w.surround("null", "a null clamd, which only reads", d)
}

// launchNull starts a null clamd whose scans take as long as delay.
func (w *world) launchNull(name string, delay time.Duration) (*daemon, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	d, err := w.launch(name, self, nullCommand, w.socket(name), delay.String())
	if err != nil {
		return nil, err
	}
	return d, d.ready(w.socket(name))
}

// surround puts HAProxy and polyclamd in front of an engine.
func (w *world) surround(name, about string, d *daemon) (*engine, error) {
	e := &engine{name: name, about: about, daemon: d}
	e.ways = append(e.ways, way{name: "direct", socket: w.socket(name)})
	if err := d.ready(w.socket(name)); err != nil {
		return nil, err
	}
	for _, program := range w.fronts() {
		y, err := w.inFront(front{program: program, name: program + "-" + name, engines: []string{w.socket(name)}})
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

// socket is the path of a daemon's socket.
func (w *world) socket(name string) string { return filepath.Join(w.dir, name+".sock") }

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

// find returns the path of a program. Debian keeps daemons outside an ordinary user's
// PATH.
func find(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil && !filepath.IsAbs(name) {
		path, err = exec.LookPath(filepath.Join("/usr/sbin", name))
	}
	if err != nil {
		return "", fmt.Errorf("%s is not installed", name)
	}
	return path, nil
}

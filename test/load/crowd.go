package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"polyclam/test/child"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/pflag"
)

// crowdCommand runs this program as a crowd.
const crowdCommand = "run-crowd"

// hostile is the user ID of crowds if we are root: Debian's user "nobody".
const hostile = 65534

// A crowd is many clients of one kind in a separate process, under another user ID.
type crowd struct {
	*process
	input  io.Closer
	counts atomic.Pointer[counts]
}

// counts is what a crowd has done.
type counts struct {
	Open     int64 // current connections, including those polyclamd has not accepted
	Answered int64 // replies
	Cut      int64 // connections that ended without a reply
	Refused  int64 // failed attempts to connect
}

func (c counts) String() string {
	return fmt.Sprintf("%d connections, %d replies, %d cut, %d refused", c.Open, c.Answered, c.Cut, c.Refused)
}

// A crowdSpec describes the clients of a crowd.
type crowdSpec struct {
	kind  string // a key of kinds
	count int
	size  int           // bytes sent by clients that send much
	every time.Duration // pause between the pieces of clients that send slowly
	path  string        // path that clients scan
	once  bool          // a client that is cut off does not come back
}

// crowd starts a crowd against a daemon. It ends with the trial.
func (t *trial) crowd(d *daemon, spec crowdSpec) (*crowd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir := t.path("files-" + spec.kind)
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o777)); err != nil {
		return nil, err
	}
	cmd := exec.Command(self, crowdCommand, "--dir", dir, "--kind", spec.kind, "--count", strconv.Itoa(spec.count), "--every", spec.every.String(),
		"--size", strconv.Itoa(spec.size), "--path", spec.path, "--once="+strconv.FormatBool(spec.once), "--socket", d.socket)
	c := &crowd{}
	c.counts.Store(&counts{})
	// The crowd ends with its standard input: changing the user clears the signal that
	// the kernel would send when we die.
	if c.input, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout = in
	c.process, err = t.start("crowd-"+spec.kind, cmd, nil)
	in.Close()
	if err != nil {
		out.Close()
		return nil, err
	}
	go c.follow(out)
	return c, nil
}

// follow reads the counts that the crowd prints.
func (c *crowd) follow(out io.ReadCloser) {
	defer out.Close()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var n counts
		if _, err := fmt.Sscan(lines.Text(), &n.Open, &n.Answered, &n.Cut, &n.Refused); err == nil {
			c.counts.Store(&n)
		}
	}
}

// gather waits until the crowd has n connections, or as many as it can get.
func (c *crowd) gather(ctx context.Context, n int) error {
	last, same := int64(-1), 0
	for range 300 {
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
		if c.Ended() {
			return fmt.Errorf("the crowd %s\n%s", c.state(), child.Tail(c.log, 1000))
		}
		now := c.counts.Load().Open
		if now >= int64(n) {
			return nil
		}
		if same++; now != last {
			last, same = now, 0
		}
		if same >= 15 {
			return nil // it gets no more
		}
	}
	return nil
}

// leave makes all clients hang up together.
func (c *crowd) leave() {
	c.input.Close()
	select {
	case <-c.Done():
	case <-time.After(10 * time.Second):
		c.Kill()
	}
}

// runCrowd is the main function of a crowd process. It ends with its input.
func runCrowd(args []string, in io.Reader, out io.Writer) error {
	var spec crowdSpec
	flags := pflag.NewFlagSet(crowdCommand, pflag.ContinueOnError)
	flags.StringVar(&spec.kind, "kind", "", "`kind` of clients")
	flags.IntVar(&spec.count, "count", 0, "`number` of clients")
	flags.IntVar(&spec.size, "size", 0, "`bytes` of what they send")
	flags.DurationVar(&spec.every, "every", 5*time.Second, "`time` between two pieces")
	flags.StringVar(&spec.path, "path", "", "`path` they ask for")
	flags.BoolVar(&spec.once, "once", false, "clients that are cut do not come back")
	dir := flags.String("dir", "", "`directory` for the files that they hand over")
	socket := flags.String("socket", "", "`path` of the daemon's socket")
	if err := flags.Parse(args); err != nil {
		return err
	}
	kind, known := kinds[spec.kind]
	if !known {
		return fmt.Errorf("no kind of clients is named %q", spec.kind)
	}
	if err := becomeHostile(); err != nil {
		return err
	}
	if err := child.RaiseDescriptors(); err != nil {
		return err
	}
	p := &crowdProcess{crowdSpec: spec, to: way{network: "unix", address: *socket, patient: true}, dir: *dir}
	for i := range spec.count {
		go p.client(kind, i)
	}
	go p.report(out)
	io.Copy(io.Discard, in)
	return nil
}

// becomeHostile changes to a user ID other than that of the honest clients, if
// permitted.
func becomeHostile() error {
	if os.Geteuid() != 0 {
		return nil
	}
	if err := syscall.Setgroups(nil); err != nil {
		return err
	}
	if err := syscall.Setgid(hostile); err != nil {
		return err
	}
	return syscall.Setuid(hostile)
}

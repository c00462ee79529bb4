package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"

	"github.com/rs/zerolog"

	"polyclam/cmd/internal/cli"
	"polyclam/cmd/internal/config"
	"polyclam/cmd/internal/listen"
	"polyclam/cmd/internal/machine"
	"polyclam/cmd/internal/needs"
	"polyclam/cmd/internal/size"
)

// check prints whether a daemon could start with the configuration, its warnings, and the
// resources it needs, and returns the exit status. The error lists what would fail.
//
// root may do everything, the daemon may not: root's check of the installed configuration
// runs as the user of polyclamd.service.
func check(o options, args []string, stdout, stderr io.Writer) (status int, err error) {
	if os.Geteuid() == 0 && o.check && o.config == cli.DefaultConfig {
		units := listen.AskSystemd()
		if c, ok := asService(units, args); ok {
			fmt.Fprintf(stdout, "checked as %s, the user of polyclamd.service:\n", units.User)
			c.Stdout, c.Stderr = stdout, stderr
			return runChecked(c)
		}
	}
	err = checkHere(o, stdout, stderr)
	if err != nil {
		tellDaemon()
	}
	return 0, err
}

// tellDaemon lets the daemon refuse a configuration itself, if this check is ExecReload= of
// its unit, see systemd.exec(5). systemd runs none of the other commands after a failure, so
// otherwise polyclam status would not know.
func tellDaemon() {
	if pid, err := strconv.Atoi(os.Getenv(mainPID)); err == nil && pid > 1 {
		_ = syscall.Kill(pid, syscall.SIGHUP) // if it has just ended, nothing is to be refused
	}
}

// mainPID is the variable in which systemd passes the daemon's process to ExecReload=.
const mainPID = "MAINPID"

// beforeReload reports whether this check is ExecReload=.
func beforeReload() bool { return os.Getenv(mainPID) != "" }

// checkHere checks as the user of this process.
func checkHere(o options, stdout, stderr io.Writer) error {
	file, err := o.load()
	if err != nil {
		return err
	}
	r := &checkReport{}
	if o.checkFile && !o.check {
		r.source = file.FitSpool(machine.Memory(0))
		r.need = needs.Of(file)
	} else {
		err = r.checkMachine(o, file)
	}
	if beforeReload() && err == nil {
		return nil // the daemon logs the rest when it reloads
	}
	for _, w := range file.Warnings {
		fmt.Fprintln(stderr, "warning:", w)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s: ok\nspool_total is %s (%s)\n", file.Name, spoolTotal(file), r.source)
	if err := r.need.Print(stdout); err != nil {
		return err
	}
	for _, note := range r.notes {
		fmt.Fprintln(stdout, note)
	}
	return nil
}

// checkReport is what a check prints about a good configuration.
type checkReport struct {
	source string // where spool_total comes from
	need   needs.Needs
	notes  []string
}

// checkMachine runs the steps of a start without opening sockets. It notes what the limits of
// this process would change; those of the daemon may be others.
func (r *checkReport) checkMachine(o options, file *config.File) error {
	descriptors, err := raiseDescriptorLimit()
	if err != nil {
		return err
	}
	s := &setup{
		options: o, log: zerolog.Nop(), descriptors: descriptors, isCheck: true, resolver: net.DefaultResolver, file: file,
		checker: listen.Checker{Systemd: listen.AskSystemd, Running: beforeReload()},
	}
	err = s.open()
	s.close()
	r.source, r.need = s.fitted.source, s.fitted.asked
	for _, c := range s.fitted.changes {
		r.notes = append(r.notes, fmt.Sprintf("with the limits of this process, which may be lower than those of the service, %s would be %d instead of %d: %s", c.Key, c.Now, c.Before, c.Hint))
	}
	if !s.fitted.fits {
		r.notes = append(r.notes, fmt.Sprintf("with the limits of this process, which may be lower than those of the service, there would be too little memory: %s (%s)", size.MiB(s.fitted.memory.N), s.fitted.memory.From))
	}
	return err
}

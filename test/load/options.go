package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// options are the command line.
type options struct {
	polyclamd string
	short     bool
	keep      bool
	list      bool
	clients   int
	idle      int
	slow      int
	every     time.Duration // between two probes
	probes    int
	duration  time.Duration // of each overload run
	patience  time.Duration // of the overload clients
	timeout   time.Duration // of engines
	down      time.Duration // how long an engine stays stopped
	loadTime  time.Duration // of a reloading engine
	parts     []part
}

func parseOptions(args []string) (options, error) {
	var o options
	flags := pflag.NewFlagSet("load", pflag.ContinueOnError)
	flags.StringVar(&o.polyclamd, "polyclamd", "", "`program` to measure instead of the one built from this tree")
	flags.BoolVar(&o.short, "short", false, "fewer clients and shorter times, for a first impression")
	flags.BoolVar(&o.keep, "keep", false, "keep configurations and logs, and print where they are")
	flags.BoolVar(&o.list, "list", false, "list the parts and exit")
	flags.IntVar(&o.clients, "clients", 8, "`number` of honest clients where a part has several")
	flags.IntVar(&o.idle, "idle", 10000, "slow: `number` of idle clients")
	flags.IntVar(&o.slow, "slow", 5000, "slow: `number` of slow clients")
	flags.DurationVar(&o.every, "every", 200*time.Millisecond, "slow: `time` between two scans of the honest client")
	flags.IntVar(&o.probes, "probes", 60, "slow: `number` of scans of the honest client")
	flags.DurationVar(&o.duration, "duration", 2*time.Minute, "overload: `time` of each run")
	flags.DurationVar(&o.patience, "patience", 20*time.Second, "overload: `time` after which a client hangs up")
	flags.DurationVar(&o.timeout, "timeout", 6*time.Second, "stopped: `time` that polyclamd gives an engine for one scan")
	flags.DurationVar(&o.down, "down", 10*time.Second, "stopped: `time` an engine stays stopped under load")
	flags.DurationVar(&o.loadTime, "load-time", 20*time.Second, "reload: `time` an engine takes to load its signatures")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.short {
		o.shorten(flags)
	}
	return o, errors.Join(o.absolute(), o.choose(flags.Args()), o.check())
}

// shorten sets the values of --short for flags that are not on the command line.
func (o *options) shorten(flags *pflag.FlagSet) {
	for name, value := range map[string]string{
		"idle": "500", "slow": "250", "probes": "15", "every": "100ms", "duration": "10s", "patience": "3s",
		"timeout": "3s", "down": "4s", "load-time": "2s",
	} {
		if !flags.Changed(name) {
			flags.Set(name, value)
		}
	}
}

// absolute makes the path of the program absolute, because it runs in another
// directory.
func (o *options) absolute() (err error) {
	if o.polyclamd != "" {
		o.polyclamd, err = filepath.Abs(o.polyclamd)
	}
	return err
}

// choose selects the parts with these names or cases.
func (o *options) choose(names []string) error {
	var errs []error
	for _, name := range names {
		if !slices.ContainsFunc(parts, func(p part) bool { return p.is(name) }) {
			errs = append(errs, fmt.Errorf("no part is named %q; --list shows them", name))
		}
	}
	for _, p := range parts {
		if len(names) == 0 || slices.ContainsFunc(names, p.is) {
			o.parts = append(o.parts, p)
		}
	}
	return errors.Join(errs...)
}

// is reports whether name names the part or its case.
func (p part) is(name string) bool {
	return p.name == name || strings.HasPrefix(p.name, strings.TrimSuffix(name, "/")+"/")
}

func (o *options) check() error {
	if o.clients < 1 || o.clients > 1000 || o.idle < 0 || o.slow < 0 || o.idle+o.slow > 50000 || o.probes < 1 {
		return errors.New("--clients must be 1 to 1000, --idle and --slow 50000 together, --probes 1 or more")
	}
	for _, d := range []time.Duration{o.every, o.duration, o.patience, o.timeout, o.down, o.loadTime} {
		if d <= 0 || d > time.Hour {
			return fmt.Errorf("%v is not a time between 0 and 1h", d)
		}
	}
	return nil
}

// length is a duration: normal, or short with --short.
func (o *options) length(normal, short time.Duration) time.Duration {
	if o.short {
		return short
	}
	return normal
}

// number is a count: normal, or short with --short.
func (o *options) number(normal, short int) int {
	if o.short {
		return short
	}
	return normal
}

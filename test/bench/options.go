package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// maxClients bounds --clients: each is a thread.
const maxClients = 64

// options are the command line.
type options struct {
	quick      bool
	only       []string
	slice      time.Duration
	rounds     int
	budget     time.Duration // for a row of the table
	sizes      []int64
	clients    []int
	body       string
	binary     string
	baseline   string
	add        string // configuration for polyclam, but not for the baseline
	keep       bool
	data       string   // directory for the curves
	curves     []string // names; none: all
	costs      string   // file for the costs
	signatures int      // of the clamd whose costs are measured
	write      string   // page of the documentation that gets the tables
}

func parseOptions(args []string) (options, error) {
	var o options
	var sizes []string
	var addFile string
	flags := pflag.NewFlagSet("bench", pflag.ContinueOnError)
	flags.BoolVar(&o.quick, "quick", false, "about a minute, for a first impression: few short rounds, fewer clients, three sizes")
	flags.StringSliceVar(&o.only, "only", nil, "`parts` to measure: "+strings.Join(partNames(), ", "))
	flags.DurationVar(&o.slice, "slice", 400*time.Millisecond, "`time` of one slice; a slice has one scan a client at least")
	flags.IntVar(&o.rounds, "rounds", 9, "`number` of rounds, each a slice of every way")
	flags.DurationVar(&o.budget, "budget", 18*time.Second, "`time` after which a row of the table gets no further round, once it has three")
	flags.StringSliceVar(&sizes, "sizes", []string{"1K", "10K", "100K", "1M", "10M"}, "`sizes` of what is scanned")
	flags.IntSliceVar(&o.clients, "clients", []int{1, 16}, "`numbers` of clients at the same time")
	flags.StringVar(&o.body, "body", bodyMail, "what is scanned: `mail` (base64) or random")
	flags.StringVar(&o.binary, "polyclamd", "", "`program` to measure instead of the one built from this tree")
	flags.StringVar(&o.baseline, "baseline", "", "another build of polyclamd, `program` measured beside it")
	flags.StringVar(&addFile, "add", "", "`file` with configuration that is added for polyclam, but not for the baseline; {socket} stands for its socket")
	flags.BoolVar(&o.keep, "keep", false, "keep the directory with configurations and logs, and say where it is")
	flags.StringVar(&o.data, "data", "docs/performance", "`directory` for the CSV files of --only curves")
	flags.StringSliceVar(&o.curves, "curves", nil, "`names` of the curves to measure: "+strings.Join(curveNames(), ", ")+" (default all)")
	flags.StringVar(&o.costs, "costs", "test/bench/model/costs.json", "`file` for the costs of --only costs; empty: none")
	flags.IntVar(&o.signatures, "signatures", 50_000, "`number` of made-up signatures for --only costs")
	flags.StringVar(&o.write, "write", "", "`page` of the documentation that gets the tables of this run")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.quick {
		sizes = quicken(&o, flags, sizes)
	}
	if addFile != "" {
		text, err := os.ReadFile(addFile)
		if err != nil {
			return o, fmt.Errorf("--add: %w", err)
		}
		o.add = string(text)
	}
	for _, s := range sizes {
		n, err := parseSize(s)
		if err != nil {
			return o, err
		}
		o.sizes = append(o.sizes, n)
	}
	return o, o.check()
}

// quicken sets the values of --quick for flags that are not on the command line.
func quicken(o *options, flags *pflag.FlagSet, sizes []string) []string {
	if !flags.Changed("slice") {
		o.slice = 60 * time.Millisecond
	}
	if !flags.Changed("rounds") {
		o.rounds = 3
	}
	if !flags.Changed("budget") {
		o.budget = 2 * time.Second
	}
	if flags.Changed("sizes") {
		return sizes
	}
	return []string{"1K", "10K", "1M"}
}

func (o *options) check() error {
	var errs []error
	for i, name := range o.only {
		if strings.HasPrefix(name, "n") && len(name) == 2 { // n1 is N1
			name = strings.ToUpper(name)
			o.only[i] = name
		}
		if !slices.Contains(partNames(), name) {
			errs = append(errs, fmt.Errorf("--only %s: want %s", name, strings.Join(partNames(), ", ")))
		}
	}
	for _, name := range o.curves {
		if !slices.Contains(curveNames(), name) {
			errs = append(errs, fmt.Errorf("--curves %s: want %s", name, strings.Join(curveNames(), ", ")))
		}
	}
	for _, n := range o.clients {
		if n < 1 || n > maxClients {
			errs = append(errs, fmt.Errorf("--clients %d: want 1 to %d", n, maxClients))
		}
	}
	if o.rounds < 1 || o.slice <= 0 {
		errs = append(errs, errors.New("--rounds and --slice: must be positive"))
	}
	if o.signatures < 0 || o.signatures > 10_000_000 {
		errs = append(errs, fmt.Errorf("--signatures %d: want 0 to 10000000", o.signatures))
	}
	if o.body != bodyMail && o.body != bodyRandom {
		errs = append(errs, fmt.Errorf("--body %s: want %s or %s", o.body, bodyMail, bodyRandom))
	}
	return errors.Join(errs...)
}

func curveNames() (names []string) {
	for _, c := range curveList {
		names = append(names, c.file)
	}
	return names
}

func partNames() (names []string) {
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

// wants reports whether to measure the part.
func (o *options) wants(p part) bool {
	return len(o.only) == 0 && p.goal || slices.Contains(o.only, p.name)
}

// parseSize reads "10K".
func parseSize(s string) (int64, error) {
	shift := 0
	digits := s
	switch {
	case strings.HasSuffix(s, "K"):
		digits, shift = s[:len(s)-1], 10
	case strings.HasSuffix(s, "M"):
		digits, shift = s[:len(s)-1], 20
	}
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || n < 1 || n<<shift < minBody || n<<shift > 100<<20 {
		return 0, fmt.Errorf("size %q: want 1K to 100M", s)
	}
	return n << shift, nil
}

// sizeName formats a size for parseSize.
func sizeName(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return strconv.FormatInt(n>>20, 10) + " MB"
	case n >= 1<<10 && n%(1<<10) == 0:
		return strconv.FormatInt(n>>10, 10) + " KB"
	}
	return strconv.FormatInt(n, 10) + " B"
}

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/backends/testfile"
	"polyclam/cmd/internal/config"
	"polyclam/proxy"
	"polyclam/proxy/policy"
	"polyclam/proxy/spool"
)

// The objects that every node is tried with, the first three in the order of
// check's columns.
const (
	sampleClean = iota
	sampleEICAR
	sampleEncrypted
	sampleZipped
	sampleLocked
	sampleDeep
	sampleCount
)

// sampleNames are what messages call the objects.
var sampleNames = [sampleCount]string{
	"a clean text", "the EICAR test file", "an encrypted archive", "EICAR in a ZIP archive",
	"an archive of an encrypted file and EICAR", "an archive of deeply nested archives and EICAR",
}

// samples returns the objects. They are those of polyclamd's health checks.
func samples() [sampleCount][]byte {
	return [sampleCount][]byte{
		testfile.Clean(testfile.NewNonce()), testfile.EICAR(), testfile.Encrypted(), testfile.ZippedEICAR(),
		testfile.LockedThenEICAR(), testfile.DeepThenEICAR(),
	}
}

// trial is what one node of one engine said of the samples.
type trial struct {
	engine, backend, node string
	required              bool
	version               string
	answers               [sampleCount]trialAnswer
	size                  sizeTrial
}

// trialAnswer is what came of one sample. It has a category in any case.
type trialAnswer struct {
	category backends.Category // after the site's rules
	name     string
	detail   string // the engine's own message
	err      error  // why there was no answer
	elapsed  time.Duration
}

func (a trialAnswer) word() string { return string(a.category) }

func (a trialAnswer) found() bool {
	return a.category == backends.Virus || a.category == backends.Suspicious
}

// detects reports whether the engine finds the test file.
func (t *trial) detects() bool { return t.answers[sampleEICAR].found() }

// usable reports whether the engine is of use: it finds the test file, and not
// everything.
func (t *trial) usable() bool {
	return t.detects() && t.answers[sampleClean].category == backends.OK
}

// tells reports whether the engine reports that an archive is encrypted.
func (t *trial) tells() bool { return t.answers[sampleEncrypted].category == backends.Encrypted }

// unpacks reports whether the engine looks into archives.
func (t *trial) unpacks() bool { return t.answers[sampleZipped].found() }

// masked reports whether the first finding in an archive hides the virus beside it.
func (t *trial) masked() bool { return t.masks(sampleLocked) || t.isClamd() && t.masks(sampleDeep) }

func (t *trial) masks(sample int) bool {
	a := t.answers[sample]
	return t.usable() && t.unpacks() && !a.found() && !a.category.IsFailure()
}

func (t *trial) isClamd() bool { return t.backend == clamdBackend }

const clamdBackend = "clamd"

// exit is the exit status for this node alone. What a clamd masks is suspicious to
// polyclamd, so that nothing passes because of it.
func (t *trial) exit() int {
	switch {
	case !t.usable():
		return exitFound
	case t.size.silent(), t.masked() && !t.isClamd(), !t.unpacks() && t.isClamd():
		return exitPartial
	}
	return exitOK
}

func (t *trial) slowest() (d time.Duration) {
	for _, a := range t.answers {
		d = max(d, a.elapsed)
	}
	return d
}

// conclusion says in a word or two what the engine can report.
func (t *trial) conclusion() string {
	switch {
	case t.answers[sampleClean].err != nil && t.answers[sampleEICAR].err != nil:
		return "nothing"
	case !t.detects():
		return "no virus"
	case !t.usable():
		return "nothing reliable"
	case t.tells():
		return "virus, encrypted"
	}
	return "virus"
}

// trialOptions are the flags of check.
type trialOptions struct {
	timeout time.Duration // of one answer
	sizes   bool          // try large objects
}

// tryAll tries every node of every engine, all at the same time. warn is called
// with what makes the trial less than the real thing.
func tryAll(file *config.File, o trialOptions, warn func(string)) ([]trial, error) {
	whole, err := file.Build(nil, zerolog.Nop()) // nothing is scanned with it
	if err != nil {
		return nil, err
	}
	merge := policy.Default()
	if len(whole.Listeners) > 0 {
		merge = whole.Listeners[0].Policy // for the rules, which all have
	}
	closeAll(whole)
	store, err := openSpool(file, warn)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	nodes := splitNodes(file)
	trials := make([]trial, len(nodes))
	errs := make([]error, len(nodes))
	var wg sync.WaitGroup
	for i, one := range nodes {
		wg.Go(func() { trials[i], errs[i] = tryNode(one, store, merge, o) })
	}
	wg.Wait()
	return trials, errors.Join(errs...)
}

func closeAll(c *proxy.Config) {
	for _, u := range c.Engines {
		u.Close()
	}
}

// splitNodes returns a configuration with one engine and one node for each
// node of file. The canary is off, lest it decide who is asked.
func splitNodes(file *config.File) (out []*config.File) {
	for _, u := range file.Engines {
		addresses := u.Addresses
		if len(addresses) == 0 {
			addresses = []string{""}
		}
		for _, a := range addresses {
			node, one := u, *file
			node.Canary = false
			if a != "" {
				node.Addresses = []string{a}
			}
			one.Engines = []config.Engine{node}
			out = append(out, &one)
		}
	}
	return out
}

// tryNode tries the one node of file.
func tryNode(file *config.File, store *spool.Spool, merge *policy.Policy, o trialOptions) (trial, error) {
	u := file.Engines[0]
	tr := trial{engine: u.Name, backend: u.Backend, required: u.Required}
	if len(u.Addresses) > 0 {
		tr.node = u.Addresses[0]
	}
	c, err := file.Build(store, zerolog.Nop())
	if err != nil {
		return tr, err
	}
	defer closeAll(c)
	n := node{c, store, merge}
	for i, data := range samples() {
		tr.answers[i] = n.try(store.Bytes(data), o.timeout)
		if i == sampleEICAR && !tr.usable() {
			break
		}
	}
	if o.sizes && tr.usable() && tr.unpacks() {
		largest, beyond := sizeToTry(file)
		tr.size = n.trySizes(largest, o.timeout)
		tr.size.beyond = beyond
	}
	ctx, cancel := context.WithTimeout(context.Background(), o.timeout)
	defer cancel()
	if v, ok := c.Engines[0].Version(ctx); ok {
		tr.version = v.Text
	}
	return tr, nil
}

// node is a configuration with one node of one engine.
type node struct {
	config *proxy.Config
	store  *spool.Spool
	merge  *policy.Policy
}

// try scans content and releases it.
func (n *node) try(obj *spool.Object, timeout time.Duration) trialAnswer {
	defer obj.Release()
	ctx, cancel := context.WithTimeoutCause(context.Background(), timeout, fmt.Errorf("no answer within %v: %w", timeout, context.DeadlineExceeded))
	defer cancel()
	report := n.config.Engines[0].Scan(ctx, obj, false)
	judged := n.merge.Merge([]policy.Report{report}).Reports[0]
	a := trialAnswer{category: judged.Category, detail: report.Result.Detail, err: report.Err, elapsed: report.Elapsed}
	if len(judged.Names) > 0 {
		a.name = judged.Names[0]
	}
	return a
}

// openSpool makes the store that the samples are kept in, as polyclamd would. A
// directory that does not exist is left for polyclamd to make, as its own user.
func openSpool(file *config.File, warn func(string)) (*spool.Spool, error) {
	cfg := file.Spool()
	if cfg.Dir != "" && exists(cfg.Dir) {
		store, err := spool.New(cfg)
		if err == nil {
			return store, nil
		}
		warn(fmt.Sprintf("the spool cannot be used by this user, the engines are tried without: %v", err))
	}
	cfg.Dir, cfg.Store = "", spool.Memfd
	return spool.New(cfg)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/cmd/internal/config"
	"polyclam/proxy"
	"polyclam/proxy/policy"
	"polyclam/proxy/spool"
)

// trial is what one node of one engine said of the samples.
type trial struct {
	engine, backend, node string
	required              bool
	version               string
	answers               [sampleCount]trialAnswer
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

// tells reports whether the engine tells that an archive is encrypted.
func (t *trial) tells() bool { return t.answers[sampleEncrypted].category == backends.Encrypted }

func (t *trial) slowest() (d time.Duration) {
	for _, a := range t.answers {
		d = max(d, a.elapsed)
	}
	return d
}

// conclusion says in a word or two what the engine can tell.
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

// tryAll tries every node of every engine, all at once. warn is told what makes
// the trial less than the real thing.
func tryAll(file *config.File, timeout time.Duration, warn func(string)) ([]trial, error) {
	whole, err := file.Build(zerolog.Nop())
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
		wg.Go(func() { trials[i], errs[i] = tryNode(one, store, merge, timeout) })
	}
	wg.Wait()
	return trials, errors.Join(errs...)
}

func closeAll(c *proxy.Config) {
	for _, u := range c.Upstreams {
		u.Close()
	}
}

// splitNodes returns a configuration with one upstream and one node for each
// node of file. The canary is off, lest it decide who is asked.
func splitNodes(file *config.File) (out []*config.File) {
	for _, u := range file.Upstreams {
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
			one.Upstreams = []config.Upstream{node}
			out = append(out, &one)
		}
	}
	return out
}

// tryNode tries the one node of file.
func tryNode(file *config.File, store *spool.Spool, merge *policy.Policy, timeout time.Duration) (trial, error) {
	u := file.Upstreams[0]
	tr := trial{engine: u.Name, backend: u.Backend, required: u.Required}
	if len(u.Addresses) > 0 {
		tr.node = u.Addresses[0]
	}
	c, err := file.BuildWith(store, zerolog.Nop())
	if err != nil {
		return tr, err
	}
	defer closeAll(c)
	for i, s := range samples() {
		tr.answers[i] = trySample(c, store, merge, s, timeout)
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if v, ok := c.Upstreams[0].Version(ctx); ok {
		tr.version = v.Text
	}
	return tr, nil
}

func trySample(c *proxy.Config, store *spool.Spool, merge *policy.Policy, s sample, timeout time.Duration) trialAnswer {
	ctx, cancel := context.WithTimeoutCause(context.Background(), timeout, fmt.Errorf("no answer within %v: %w", timeout, context.DeadlineExceeded))
	defer cancel()
	content := store.Bytes(s.data)
	defer content.Release()
	report := c.Upstreams[0].Scan(ctx, content, false)
	judged := merge.Merge([]policy.Report{report}).Reports[0]
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

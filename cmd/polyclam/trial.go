package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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

// The objects that every node scans. The first three are columns of check, in this order.
const (
	sampleClean = iota
	sampleEICAR
	sampleEncrypted
	sampleZipped
	sampleLocked
	sampleDeep
	sampleMailed
	sampleCount
)

// sampleNames are the names of the objects in messages.
var sampleNames = [sampleCount]string{
	"a clean text", "the EICAR test file", "an encrypted archive", "EICAR in a ZIP archive",
	"an archive of an encrypted file and EICAR", "an archive of deeply nested archives and EICAR",
	"EICAR in a mail",
}

// samples returns the objects, which polyclamd's health checks use too.
func samples() [sampleCount][]byte {
	return [sampleCount][]byte{
		testfile.Clean(testfile.NewNonce()), testfile.EICAR(), testfile.Encrypted(), testfile.ZippedEICAR(),
		testfile.LockedThenEICAR(), testfile.DeepThenEICAR(), testfile.MailedEICAR(testfile.NewNonce()),
	}
}

// trial holds the results of one node of one engine for the samples.
type trial struct {
	engine, backend, node string
	version               string
	database              time.Time // of the signatures; zero: unknown
	answers               [sampleCount]trialAnswer
	size                  sizeTrial
}

// trialAnswer is the result for one sample. Only that of a sample that was not tried has no
// category.
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

// usable reports whether the engine distinguishes the test file from the clean text.
func (t *trial) usable() bool {
	return t.detects() && t.answers[sampleClean].category == backends.OK
}

// reportsEncrypted reports whether the engine reports that an archive is encrypted.
func (t *trial) reportsEncrypted() bool {
	return t.answers[sampleEncrypted].category == backends.Encrypted
}

// unpacks reports whether the engine unpacks archives.
func (t *trial) unpacks() bool { return t.answers[sampleZipped].found() }

// noRoom returns the sample for which the engine could not write its temporary files, or -1.
func (t *trial) noRoom() int {
	return slices.IndexFunc(t.answers[:], func(a trialAnswer) bool { return backends.NoRoom(a.err) })
}

// hidesVirus reports whether the first finding in an archive hides a virus in the same
// archive.
func (t *trial) hidesVirus() bool {
	return t.hidesVirusIn(sampleLocked) || t.isClamd() && t.hidesVirusIn(sampleDeep)
}

func (t *trial) hidesVirusIn(sample int) bool {
	a := t.answers[sample]
	return t.usable() && t.unpacks() && !a.found() && !a.category.IsFailure()
}

// silent reports whether the node did not answer in time. Nothing else is tried then, since
// each answer would take as long.
func (t *trial) silent() bool {
	clean := t.answers[sampleClean]
	return clean.err != nil && clean.category == backends.Interrupted
}

func (t *trial) isClamd() bool { return t.backend == clamdBackend }

// Backends with their own hints.
const (
	clamdBackend   = "clamd"
	inspectBackend = "inspect"
)

// exit returns the exit status for this node alone. A clamd that hides a virus is not
// dangerous: polyclamd then treats its encrypted and limits findings as suspicious.
func (t *trial) exit() int {
	switch {
	case !t.usable(), t.noRoom() >= 0:
		return exitFound
	case t.size.falseOK(), t.hidesVirus() && !t.isClamd(), !t.unpacks() && t.isClamd():
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

// reports describes what the engine reported for the samples.
func (t *trial) reports() string {
	switch {
	case t.silent(), t.answers[sampleClean].err != nil && t.answers[sampleEICAR].err != nil:
		return "nothing"
	case !t.detects():
		return "no virus"
	case !t.usable():
		return "nothing reliable"
	case t.reportsEncrypted():
		return "virus, encrypted"
	}
	return "virus"
}

// trialOptions are the flags of check.
type trialOptions struct {
	timeout time.Duration // of one answer
	sizes   bool          // try large objects
	waiting *waiting      // shows what takes long; nil: nothing
}

// tryAll tests every node of every engine, all of them concurrently. It calls warn with
// each way in which the trial differs from polyclamd itself.
func tryAll(file *config.File, o trialOptions, warn func(string)) ([]trial, error) {
	whole, err := file.Build(nil, zerolog.Nop()) // nothing is scanned with it
	if err != nil {
		return nil, err
	}
	merge := policy.Default()
	if len(whole.Listeners) > 0 {
		merge = whole.Listeners[0].Policy // for its rules, which are the same in all listeners
	}
	closeAll(whole)
	store, err := openSpool(file, warn)
	if err != nil {
		return nil, err
	}
	defer store.close()
	nodes := splitNodes(file, warn)
	trials := make([]trial, len(nodes))
	errs := make([]error, len(nodes))
	var wg sync.WaitGroup
	for i, one := range nodes {
		wg.Go(func() { trials[i], errs[i] = tryNode(one, store.Spool, merge, o) })
	}
	wg.Wait()
	return trials, errors.Join(errs...)
}

func closeAll(c *proxy.Config) {
	for _, e := range c.Engines {
		e.Close()
	}
}

// resolveTime bounds the lookups of the names of one engine.
const resolveTime = 20 * time.Second

// splitNodes returns one configuration per node of file, with only that node. Health
// checks are off: they must not disable a node. It calls warn for a name that does not
// resolve.
func splitNodes(file *config.File, warn func(string)) (out []*config.File) {
	for _, e := range file.Engines {
		ctx, cancel := context.WithTimeout(context.Background(), resolveTime)
		nodes := e.Resolved(ctx, func(address string, err error) {
			warn(fmt.Sprintf("%s: the name %s does not resolve now: %v; its nodes are not tested", e.Name, address, err))
		})
		cancel()
		for _, node := range nodes {
			one := *file
			node.Canary = false
			one.Engines = []config.Engine{node}
			out = append(out, &one)
		}
	}
	return out
}

// tryNode tests the one node of file.
func tryNode(file *config.File, store *spool.Spool, merge *policy.Policy, o trialOptions) (trial, error) {
	e := file.Engines[0]
	tr := trial{engine: e.Name, backend: e.Backend}
	if len(e.Addresses) > 0 {
		tr.node = e.Addresses[0]
	}
	c, err := file.Build(store, zerolog.Nop())
	if err != nil {
		return tr, err
	}
	defer closeAll(c)
	n := node{c, store, merge, tr.backend + " " + tr.node + ": "}
	at := strings.TrimSpace(e.Name + " " + tr.node)
	defer o.waiting.end(at)
	for i, data := range samples() {
		o.waiting.begin(at, sampleNames[i])
		tr.answers[i] = n.try(store.Bytes(data), o.timeout)
		if i == sampleClean && tr.silent() || i == sampleEICAR && !tr.usable() {
			break
		}
	}
	if o.sizes && tr.usable() && tr.unpacks() {
		largest, beyond := sizeToTry(file)
		o.waiting.begin(at, "large archives")
		tr.size = n.trySizes(largest, o.timeout)
		tr.size.beyond = beyond
	}
	if tr.silent() {
		return tr, nil
	}
	o.waiting.begin(at, "its version")
	ctx, cancel := context.WithTimeout(context.Background(), o.timeout)
	defer cancel()
	if v, ok := c.Engines[0].Version(ctx); ok {
		tr.version, tr.database = v.Text, v.DatabaseTime
	}
	return tr, nil
}

// node scans objects with one node of one engine.
type node struct {
	config *proxy.Config
	store  *spool.Spool
	merge  *policy.Policy
	prefix string // of the backend's errors
}

// lateError ends a trial after --timeout. It matches context.DeadlineExceeded.
type lateError struct{ after time.Duration }

func (e lateError) Error() string        { return fmt.Sprintf("no answer within %v (--timeout)", e.after) }
func (e lateError) Is(target error) bool { return target == context.DeadlineExceeded }

// shortError is an error without the backend and node, which the messages of check name.
type shortError struct {
	error
	prefix string
}

func (e shortError) Error() string { return strings.TrimPrefix(e.error.Error(), e.prefix) }
func (e shortError) Unwrap() error { return e.error }

// try scans an object and releases it.
func (n *node) try(obj *spool.Object, timeout time.Duration) trialAnswer {
	defer obj.Release()
	ctx, cancel := context.WithTimeoutCause(context.Background(), timeout, lateError{timeout})
	defer cancel()
	report := n.config.Engines[0].Scan(ctx, obj, false)
	judged := n.merge.Merge([]policy.Report{report}).Reports[0]
	a := trialAnswer{category: judged.Category, detail: report.Result.Detail, elapsed: report.Elapsed}
	if report.Err != nil {
		a.err = shortError{report.Err, n.prefix}
	}
	if len(judged.Names) > 0 {
		a.name = judged.Names[0]
	}
	return a
}

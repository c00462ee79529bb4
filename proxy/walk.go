package proxy

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"

	"polyclam/protocol"
	"polyclam/proxy/files"
	"polyclam/proxy/spool"
)

// scanPath answers SCAN, CONTSCAN, MULTISCAN, ALLMATCHSCAN, XSCAN and XCONTSCAN. It opens
// the files itself; engines receive objects, not paths.
func scanPath(r *request) {
	okPath, path := trimPath(r.cmd.Arg)
	w := &walk{r: r, ctx: r.s.ctx}
	w.reply.r = r
	switch r.cmd.Verb {
	case protocol.VerbScan, protocol.VerbXScan:
		// One answer for the whole directory, so one deadline for all of it.
		ctx, cancel := r.deadline()
		defer cancel()
		w.ctx, w.bounded = ctx, true
		w.stopAtFound, w.reply.atEnd = true, true
	case protocol.VerbAllMatchScan:
		w.stopAtFound = true
	}
	if r.id == 0 {
		r.s.watch.begin()
	}
	w.start(path)
	if r.id == 0 {
		r.s.watch.end()
	}
	if w.missed != "" {
		words, reason := w.whyCutOff()
		switch {
		case w.overRate != nil:
			r.logOverRate(w.missed, w.overRate)
		case words == interrupted:
			r.notScanned(lapseGone, w.missed, reason, nil)
		default:
			r.notScanned(lapseHung, w.missed, reason, nil)
		}
		w.reply.cutOff(path, words, unasked(counting(r.engines), r.lst.Policy, reason))
	}
	w.reply.finish(okPath)
	r.halfClose()
	if w.afterReply != nil {
		w.afterReply()
	}
}

// trimPath returns the path of a command in the two forms that replies use, both without
// trailing slashes. The OK line keeps all leading slashes that the client sent; all other
// lines keep one.
func trimPath(path string) (okPath, other string) {
	for len(path) > 1 && strings.HasSuffix(path, "/") {
		path = path[:len(path)-1]
	}
	other = path
	for strings.HasPrefix(other, "//") {
		other = other[1:]
	}
	return path, other
}

// absolute resolves a path relative to /, which is clamd's working directory when it runs
// as a daemon.
func absolute(path string) string {
	if path != "" && !filepath.IsAbs(path) {
		return "/" + path
	}
	return path
}

// A walk scans one file, or everything below a directory.
type walk struct {
	r           *request
	ctx         context.Context
	bounded     bool // ctx has the deadline; otherwise each file has its own
	stopAtFound bool // stop at the first match, as SCAN and ALLMATCHSCAN do
	reply       walkReply

	memory   *files.Memory // for directory entries
	parallel chan struct{} // limits the files that MULTISCAN scans together; nil: one by one
	scans    sync.WaitGroup

	afterReply func() // logs the scan of a single file; nil if there was none

	mu            sync.Mutex
	overRate      error  // the client has begun too many scans, so the rest is not tried
	stuck         bool   // a file system did not answer, so the rest is not tried
	noDescriptors error  // why the walk got none; nil: it has them
	missed        string // the first object not reached before the walk was cut off; empty: none
}

// within is the context for one file: for opening, copying and scanning it.
func (w *walk) within() (context.Context, context.CancelFunc) {
	if w.bounded {
		return w.ctx, func() {}
	}
	return w.r.deadline()
}

// start scans what the client named.
func (w *walk) start(path string) {
	ctx, cancel := w.within()
	defer cancel()
	o, err := w.r.s.srv.files.Open(ctx, w.r.cfg.ScanPaths, absolute(path))
	switch {
	case err != nil:
		w.fail(path, err)
	case o.Dir != nil:
		w.tree(ctx, o.Dir, path)
	default:
		w.reply.single = true
		if w.admit(o.File, path) {
			w.file(ctx, o.File, path)
		}
	}
}

// tree scans everything below dir, which the client named, and closes dir.
func (w *walk) tree(ctx context.Context, dir *files.Dir, path string) {
	limits := w.r.cfg.Limits
	if w.r.cmd.Verb == protocol.VerbMultiScan {
		w.parallel = make(chan struct{}, limits.multiscanFiles())
		w.reply.silentIfEmpty = true
	}
	// Until the walk has its descriptors, dir is the object of its connection.
	release := w.r.s.srv.walking.Take(ctx, w.r.s.peer.key, limits.walkNeeds(w.parallel != nil))
	if release == nil {
		dir.Close()
		w.missed, w.noDescriptors = path, ctx.Err()
		return
	}
	defer release()
	defer w.scans.Wait()
	w.memory = w.r.s.srv.walks.Walk()
	w.directory(dir, path, 0)
}

// directory scans the entries of dir, in the order of [files.Dir.Entries], and closes dir.
func (w *walk) directory(dir *files.Dir, path string, depth int) {
	defer dir.Close()
	if depth > w.r.cfg.Limits.DirectoryDepth {
		w.reply.verdict(path, partial(w.r.lst.Policy, "Heuristics.Limits.Exceeded.MaxDirectoryRecursion"))
		return
	}
	parent := strings.TrimSuffix(path, "/")
	for name, err := range dir.Entries(w.within, w.memory) {
		if err != nil {
			w.fail(cmp.Or(parent, "/"), err)
			continue
		}
		entry := parent + "/" + name
		if !w.begin(entry) {
			return
		}
		w.entry(dir, name, entry, depth)
	}
}

// begin waits for a slot for the next entry. It reports false if the walk is over.
func (w *walk) begin(next string) bool {
	if w.parallel != nil {
		w.parallel <- struct{}{} // every scan has a deadline, so a slot becomes free in time
	}
	if w.over(next) {
		w.end()
		return false
	}
	return true
}

// end returns the slot of begin.
func (w *walk) end() {
	if w.parallel != nil {
		<-w.parallel
	}
}

// entry scans one entry of dir, and ends the slot that begin took for it.
func (w *walk) entry(dir *files.Dir, name, path string, depth int) {
	ctx, cancel := w.within()
	o, err := dir.Open(ctx, name)
	if err == nil && o.File != nil {
		waited, ok := w.await(ctx, o.File, path)
		if !ok {
			cancel()
			w.end()
			return
		}
		if waited {
			cancel()
			ctx, cancel = w.within()
		}
		scan := func() {
			defer cancel()
			defer w.end()
			w.file(ctx, o.File, path)
		}
		if w.parallel == nil {
			scan()
			return
		}
		w.scans.Go(func() {
			defer w.r.rescue(w.reply.abandon)
			scan()
		})
		return
	}
	cancel()
	w.end() // the files in a directory take their own slots
	switch {
	case errors.Is(err, files.ErrGone): // or replaced by a link or a FIFO since it was listed
	case err != nil:
		w.fail(path, err)
	default:
		w.directory(o.Dir, path, depth+1)
	}
}

// file scans one open file and closes it.
func (w *walk) file(ctx context.Context, f *files.File, path string) {
	w.reply.count()
	object, err := w.r.s.srv.spool.Open(ctx, f, w.r.cfg.Limits.Stream)
	switch {
	case errors.Is(err, spool.ErrTooLarge):
		w.r.notScanned(lapseLimit, path, "too large to be copied", err)
		w.reply.verdict(path, tooLarge(w.r.lst.Policy))
	case err != nil:
		w.fail(path, err)
	default:
		object.SetPath(path)
		w.scan(ctx, object, path)
	}
}

// scan scans and releases an object.
func (w *walk) scan(ctx context.Context, object *spool.Object, path string) {
	v, elapsed := w.r.judge(ctx, path, object)
	w.reply.verdict(path, v)
	log := func() {
		defer object.Release()
		w.r.scanned(path, object, v, elapsed)
	}
	if w.reply.single {
		w.afterReply = log
		return
	}
	log()
}

// fail reports that an object could not be scanned.
func (w *walk) fail(path string, err error) {
	words := pathError(err)
	why := lapseOf(err)
	w.r.notScanned(why, path, strings.TrimSuffix(words, " ERROR"), err)
	if why == lapseDenied {
		w.r.explainDenial(path, err)
	}
	var stuck *files.StuckError
	if errors.As(err, &stuck) {
		w.mu.Lock()
		w.stuck = true
		w.mu.Unlock()
	}
	w.reply.failure(path, words)
}

package proxy

import (
	"context"
	"errors"
	"sync"

	"polyclam/protocol"
	"polyclam/proxy/files"
	"polyclam/proxy/policy"
	"polyclam/proxy/spool"
)

// scanPath answers SCAN, CONTSCAN, MULTISCAN, ALLMATCHSCAN and polyclam's XSCAN and
// XCONTSCAN: files and directories are opened here, and the engines get contents.
func (r *request) scanPath() {
	okPath, path := trimPath(r.cmd.Arg)
	w := &walk{r: r, ctx: r.s.ctx}
	switch r.cmd.Verb {
	case protocol.VerbScan, protocol.VerbXScan:
		// One answer for the whole directory, so one deadline for it all.
		ctx, cancel := r.deadline()
		defer cancel()
		w.ctx, w.bounded = ctx, true
		w.collect, w.stopAtFound = true, true
	case protocol.VerbAllMatchScan:
		w.stopAtFound = true
	}
	if r.id == 0 {
		r.s.beginWatch()
	}
	w.top(path)
	if r.id == 0 {
		r.s.endWatch()
	}
	if w.missed != "" {
		w.cutOff(path)
	}
	w.finish(okPath)
	r.done()
	if w.after != nil {
		w.after()
	}
}

// A walk scans a file or what is below a directory.
type walk struct {
	r           *request
	ctx         context.Context
	bounded     bool // ctx has the deadline; otherwise each file has its own
	stopAtFound bool // SCAN and ALLMATCHSCAN of a directory end at the first match
	collect     bool // send the lines together at the end

	memory   *files.Memory // of the entries of directories
	parallel chan struct{} // bounds the files scanned at once by MULTISCAN; nil: one by one
	files    sync.WaitGroup

	single bool   // the client named a file
	after  func() // logs it; nil if it was not scanned

	mu      sync.Mutex
	verdict policy.Verdict // of the last file
	lines   []string
	size    int  // of lines
	scanned int  // files looked at
	told    bool // a line other than OK has been made
	found   bool
	gone    bool   // the client is gone or must be answered by closing
	stuck   bool   // a file system did not answer: the rest would only wait as well
	crowded error  // why it did not wait any longer for its descriptors; nil: it has them
	missed  string // the first object that was not reached in time; empty: none
}

// within is the context of one file: of opening, copying and scanning it.
func (w *walk) within() (context.Context, context.CancelFunc) {
	if w.bounded {
		return w.ctx, func() {}
	}
	return w.r.deadline()
}

// top scans what the client named.
func (w *walk) top(path string) {
	ctx, cancel := w.within()
	defer cancel()
	o, err := w.r.s.srv.files.Open(ctx, w.r.cfg.ScanPaths, absolute(path))
	switch {
	case err != nil:
		w.fail(path, openError(err), err)
	case o.Dir != nil:
		w.tree(ctx, o.Dir, path)
	default:
		w.single = true
		w.file(ctx, o.File, path)
	}
}

// entry scans what is at name in dir. It has a slot of parallel, see begin.
func (w *walk) entry(dir *files.Dir, name, path string, depth int) {
	ctx, cancel := w.within()
	o, err := dir.Open(ctx, name)
	if err == nil && o.File != nil {
		scan := func() {
			defer cancel()
			defer w.leave()
			w.file(ctx, o.File, path)
		}
		if w.parallel == nil {
			scan()
		} else {
			w.files.Go(scan)
		}
		return
	}
	cancel()
	w.leave() // each file in a directory takes its own slot
	switch {
	case errors.Is(err, files.ErrGone): // or a link or a FIFO since it was listed
	case err != nil:
		w.fail(path, openError(err), err)
	default:
		w.directory(o.Dir, path, depth+1)
	}
}

// file scans one open file and closes it.
func (w *walk) file(ctx context.Context, f *files.File, path string) {
	w.mu.Lock()
	w.scanned++
	w.mu.Unlock()
	object, err := w.r.s.srv.spool.Open(ctx, f, w.r.cfg.Limits.Stream)
	switch {
	case errors.Is(err, spool.ErrTooLarge):
		w.r.notScanned(path, "too large to be copied", err)
		w.line(path, tooLarge(w.r.lst.Policy))
	case err != nil:
		w.fail(path, openError(err), err)
	default:
		object.SetPath(path)
		w.content(ctx, object, path)
	}
}

// content scans and releases content.
func (w *walk) content(ctx context.Context, object *spool.Object, path string) {
	v, elapsed := w.r.judge(ctx, path, object)
	w.line(path, v)
	log := func() {
		defer object.Release()
		w.r.scanned(path, object, v, elapsed)
	}
	if w.single {
		w.after = log // the one reply comes first
		return
	}
	log()
}

// over reports whether nothing more is to be scanned. next is what would be: if only
// the time is up, or a file system does not answer, the reply must not pass over it.
func (w *walk) over(next string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.gone, w.stopAtFound && w.found:
		return true
	case w.ctx.Err() == nil && !w.stuck:
		return false
	case w.missed == "":
		w.missed = next
	}
	return true
}

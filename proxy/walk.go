package proxy

import (
	"context"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"polyclam/protocol"
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
	defer func() {
		if w.log != nil {
			w.log.finish()
		}
	}()
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
	if w.single || w.log != nil {
		r.done()
	}
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

	parallel chan struct{} // bounds the files scanned at once by MULTISCAN; nil: one by one
	files    sync.WaitGroup

	single bool     // the client named a file
	after  func()   // logs it; nil if it was not scanned
	log    *walkLog // of a directory

	mu      sync.Mutex
	verdict policy.Verdict // of the last file
	lines   []string
	size    int  // of lines
	scanned int  // files looked at
	told    bool // a line other than OK has been made
	found   bool
	gone    bool   // the client is gone or must be answered by closing
	missed  string // the first object that was not reached in time; empty: none
}

// top scans what the client named.
func (w *walk) top(path string) {
	f, info, err := openPath(w.r.cfg.ScanPaths, path)
	switch {
	case err != nil:
		w.fail(path, pathError(err, info), err)
	case f == nil:
		w.fail(path, "Not supported file type ERROR", nil)
	case info.IsDir():
		if w.r.cmd.Verb == protocol.VerbMultiScan {
			w.parallel = make(chan struct{}, max(1, w.r.cfg.Limits.SessionScans))
		}
		w.log = newWalkLog(w.ctx, w.r.s.rescue)
		w.directory(f, path, 0)
	default:
		w.single = true
		w.file(f, path)
	}
	w.files.Wait()
}

// directory scans what is in dir, files first and each kind in the order of inodes,
// as clamd does, and closes dir. Links and special files in it are left out.
func (w *walk) directory(dir *os.File, path string, depth int) {
	defer dir.Close()
	if depth > w.r.cfg.Limits.DirectoryDepth {
		w.line(path, incomplete(w.r.lst.Policy, "Heuristics.Limits.Exceeded.MaxDirectoryRecursion"))
		return
	}
	entries, err := readDirectory(dir)
	if err != nil {
		w.fail(path, pathError(err, nil), err)
	}
	for _, e := range entries {
		below := strings.TrimSuffix(path, "/") + "/" + e.name
		if w.over(below) {
			return
		}
		w.entry(dir, e, below, depth)
	}
}

func (w *walk) entry(dir *os.File, e entry, path string, depth int) {
	if e.err != nil {
		w.fail(path, pathError(e.err, nil), e.err)
		return
	}
	f, info, err := openEntry(dir, e.name)
	switch {
	case err == unix.ELOOP, err == unix.ENXIO, err == unix.ENOENT:
		// Swapped for a link or a FIFO, or gone since it was listed.
	case err != nil && e.dir:
		w.fail(path, pathError(err, nil), err)
	case err == unix.EACCES || err == unix.EPERM:
		w.fail(path, "Access denied. ERROR", err)
	case err != nil:
		w.fail(path, "Can't open file or directory ERROR", err)
	case info.IsDir():
		w.directory(f, path, depth+1)
	case !info.Mode().IsRegular():
		f.Close()
	case w.parallel == nil:
		w.file(f, path)
	default:
		w.parallel <- struct{}{}
		w.files.Go(func() {
			defer func() { <-w.parallel }()
			w.file(f, path)
		})
	}
}

// file scans one open file and closes it.
func (w *walk) file(f *os.File, path string) {
	w.mu.Lock()
	w.scanned++
	w.mu.Unlock()
	if isGenerated(f) {
		f.Close()
		w.fail(path, "Not supported file type ERROR", nil)
		return
	}
	content, err := w.r.s.srv.spool.Open(f)
	if err != nil {
		w.fail(path, "Can't read file ERROR", err)
		return
	}
	content.SetPath(path)
	w.content(content, path)
}

// content scans and releases content.
func (w *walk) content(content *spool.Content, path string) {
	ctx := w.ctx
	if !w.bounded {
		bounded, cancel := w.r.deadline()
		defer cancel()
		ctx = bounded
	}
	v, elapsed := w.r.judge(ctx, path, content)
	w.line(path, v)
	log := func() {
		defer content.Release()
		w.r.scanned(path, content, v, elapsed)
	}
	if w.single {
		w.after = log // the one reply comes first
		return
	}
	w.log.add(log)
}

// over reports whether nothing more is to be scanned. next is what would be: if only
// the time is up, the reply must not pass over it.
func (w *walk) over(next string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.gone, w.stopAtFound && w.found:
		return true
	case w.ctx.Err() == nil:
		return false
	case w.missed == "":
		w.missed = next
	}
	return true
}

package proxy

import (
	"context"
	"strings"

	"polyclam/protocol"
	"polyclam/proxy/files"
)

// tree scans what is below dir, which the client named, and closes dir.
func (w *walk) tree(ctx context.Context, dir *files.Dir, path string) {
	limits := w.r.cfg.Limits
	if w.r.cmd.Verb == protocol.VerbMultiScan {
		w.parallel = make(chan struct{}, limits.filesAtOnce())
	}
	release := w.reserve(ctx, limits.walkNeeds(w.parallel != nil))
	if release == nil {
		dir.Close()
		w.missed = path
		return
	}
	defer release()
	defer w.files.Wait()
	w.memory = w.r.s.srv.walks.Walk()
	w.directory(dir, path, 0)
}

// reserve waits until the walk may have n descriptors, and returns what gives them back.
// It returns nil when ctx ends first. Until then dir, which the client named, is the
// object of its connection.
func (w *walk) reserve(ctx context.Context, n int) (release func()) {
	o := &w.r.s.srv.walking
	waiter := o.ask(w.r.s.key, n)
	select {
	case <-waiter.ready:
		return func() { o.drop(waiter) }
	case <-ctx.Done():
		o.drop(waiter)
		w.crowded = ctx.Err()
		return nil
	}
}

// begin waits for a slot for what comes next, and reports false if nothing more is to be
// scanned.
func (w *walk) begin(next string) bool {
	if w.parallel != nil {
		w.parallel <- struct{}{} // files in flight end in time
	}
	if w.over(next) {
		w.leave()
		return false
	}
	return true
}

// leave gives the slot of begin back.
func (w *walk) leave() {
	if w.parallel != nil {
		<-w.parallel
	}
}

// directory scans what is in dir and closes dir: files first, and each kind in the
// order of inodes, as clamd does. Links and special files in it are left out.
//
// A directory with more entries than a batch has room for is read batch by batch, and
// a second time for the directories in it: the order holds within a batch, and files
// still come before directories.
func (w *walk) directory(dir *files.Dir, path string, depth int) {
	defer dir.Close()
	if depth > w.r.cfg.Limits.DirectoryDepth {
		w.line(path, incomplete(w.r.lst.Policy, "Heuristics.Limits.Exceeded.MaxDirectoryRecursion"))
		return
	}
	d := &level{w: w, dir: dir, path: strings.TrimSuffix(path, "/"), depth: depth}
	dirs, whole, ok := d.scanFiles()
	switch {
	case !ok, !dirs:
	case whole != nil:
		d.scan(whole)
	default:
		d.scanDirs()
	}
	if whole != nil {
		whole.Free()
	}
}

// A level is one directory of a walk.
type level struct {
	w     *walk
	dir   *files.Dir
	path  string
	depth int
}

// scanFiles scans the files, batch by batch. It reports whether there are directories
// too, and returns them if they came in one batch with all files. ok is false when the
// walk is over.
func (d *level) scanFiles() (dirs bool, whole *files.Batch, ok bool) {
	want := files.Everything
	for {
		b, err := d.read(want)
		dirs = dirs || b.Dirs
		ok := d.scanBatch(b, false)
		if ok && b.Last && want == files.Everything {
			b.DropFiles()
			return dirs, b, true
		}
		last := b.Last
		b.Free()
		if !ok || err != nil || last {
			return dirs, nil, ok
		}
		want = files.OnlyFiles
	}
}

// scanDirs reads the directory once more, for the directories in it.
func (d *level) scanDirs() {
	ctx, cancel := d.w.within()
	err := d.dir.Rewind(ctx)
	cancel()
	if err != nil {
		d.fail(err)
		return
	}
	for {
		b, err := d.read(files.OnlyDirs)
		ok := d.scan(b)
		last := b.Last
		b.Free()
		if !ok || err != nil || last {
			return
		}
	}
}

// read returns the next batch. An error is in the reply already.
func (d *level) read(want files.Want) (*files.Batch, error) {
	ctx, cancel := d.w.within()
	defer cancel()
	b, err := d.dir.Read(ctx, want, d.w.memory)
	if err != nil {
		d.fail(err)
	}
	return b, err
}

func (d *level) fail(err error) {
	path := d.path
	if path == "" {
		path = "/"
	}
	d.w.fail(path, openError(err), err)
}

// scan scans the entries of a batch, and reports whether the walk goes on.
func (d *level) scan(b *files.Batch) bool { return d.scanBatch(b, true) }

func (d *level) scanBatch(b *files.Batch, dirs bool) bool {
	for i := range b.Len() {
		if b.IsDir(i) != dirs {
			continue
		}
		name := b.Name(i)
		below := d.path + "/" + name
		if !d.w.begin(below) {
			return false
		}
		d.w.entry(d.dir, name, below, d.depth)
	}
	return true
}

package command

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"polyclam/backends"
	"polyclam/backends/internal/ended"
)

// placeholder is replaced by the path in argv.
const placeholder = "{path}"

// The values of the key copy.
const (
	copyNone = "none"
	copyLink = "link"
	copyFull = "copy"
)

// The values of the key per.
const (
	perFile      = "file"
	perDirectory = "directory"
)

// stage is the file of one run, as the program sees it.
type stage struct {
	arg    string // what replaces the placeholder
	file   string
	paths  []string // paths under which the program may report the file
	before fs.FileInfo
	copied bool     // the file is a private copy
	linked bool     // the file is a private link
	own    []string // what to remove, in this order
}

// stage prepares the file for a run. It creates files beside the object's own, with the
// same prefix, so that leftovers of a crash are removed together.
func (b *Backend) stage(ctx context.Context, o backends.Object) (*stage, error) {
	path, err := o.Path()
	if err == nil {
		err = checkPath(path)
	}
	if err != nil {
		return nil, fileError(err)
	}
	s := &stage{arg: path, file: path}
	if b.copy != copyNone || b.per == perDirectory {
		err = s.make(ctx, o, b.per, b.copy)
	}
	if err == nil {
		s.before, err = os.Lstat(s.file)
	}
	switch {
	case err == nil:
		s.paths = []string{s.file}
		if real, err := filepath.EvalSymlinks(s.file); err == nil && real != s.file {
			s.paths = append(s.paths, real)
		}
		return s, nil
	case ctx.Err() != nil:
		err = ended.Context(ctx)
	default:
		err = fileError(err)
	}
	s.remove()
	return nil, err
}

// fileError marks a problem with the file, whatever its errno, never the program.
func fileError(err error) error {
	return &backends.ObjectError{Doing: "making the file for the program", Err: err}
}

// checkPath requires a path that needs no quoting anywhere.
func checkPath(path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("path %.100q is not absolute", path)
	}
	for i := range len(path) {
		if path[i] <= ' ' || path[i] > '~' {
			return fmt.Errorf("path %.100q: want printable ASCII without blanks; choose another directory for the spool", path)
		}
	}
	return nil
}

// make creates a link to or a copy of the object's file, in a separate directory if per
// says so.
func (s *stage) make(ctx context.Context, o backends.Object, per, how string) error {
	original := s.file
	info, err := os.Lstat(original)
	if err != nil {
		return err
	}
	s.file = original + "-" + rand.Text()
	s.arg = s.file
	if per == perDirectory {
		if err := os.Mkdir(s.arg, 0o700); err != nil {
			return err
		}
		s.own = append(s.own, s.arg)
		if err := grant(s.arg, info, searchable(info.Mode())); err != nil {
			return err
		}
		s.file = filepath.Join(s.arg, filepath.Base(original))
	}
	s.own = append([]string{s.file}, s.own...)
	if how != copyFull && os.Link(original, s.file) == nil {
		s.linked = true
		return nil
	}
	s.copied = true
	return s.copy(ctx, o, info)
}

func (s *stage) copy(ctx context.Context, o backends.Object, like fs.FileInfo) error {
	f, err := os.OpenFile(s.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.Copy(f, &untilDone{ctx, io.NewSectionReader(o, 0, o.Size())})
	if err == nil && n != o.Size() {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		err = grant(s.file, like, like.Mode().Perm())
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// untilDone stops reading when its context is done.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u *untilDone) Read(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, u.ctx.Err()
	}
	return u.r.Read(p)
}

// searchable returns the mode of a directory for a file: users who may read the file may
// search the directory.
func searchable(file fs.FileMode) fs.FileMode {
	readers := file.Perm() & 0o444
	return 0o700 | readers | readers>>2
}

// fill replaces the placeholder in the arguments.
func (s *stage) fill(program string, argv []string) []string {
	filled := []string{program}
	for _, a := range argv[1:] {
		filled = append(filled, strings.ReplaceAll(a, placeholder, s.arg))
	}
	return filled
}

// finish reports what the program did to its file, and removes what stage created.
func (s *stage) finish() alteration {
	defer s.remove()
	shared := !s.copied && !s.linked
	after, err := os.Lstat(s.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return alteration{"the file was gone after the scan", shared}
	case err != nil:
		return alteration{bounded("the file after the scan: " + err.Error()), shared}
	case !os.SameFile(s.before, after):
		return alteration{"the file was replaced by the scan", shared}
	case s.before.Size() != after.Size(), !s.before.ModTime().Equal(after.ModTime()):
		return alteration{"the file was changed by the scan", !s.copied}
	}
	return alteration{}
}

func (s *stage) remove() {
	for _, path := range s.own {
		// A directory may contain files that the program created.
		os.RemoveAll(path)
	}
}

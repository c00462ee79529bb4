package inspect

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"polyclam/backends"
)

// Limits on the hash lists. An entry takes 100 to 200 bytes of memory.
const (
	maxListBytes   = 128 << 20 // size of one file
	maxListEntries = 1_000_000 // entries of all files
	maxListLine    = 1024
	maxListName    = 256
	maxListErrors  = 10 // errors reported per file
)

// anySize is the size of an entry for objects of any size.
const anySize = -1

// hashLists combines all lists. It is immutable once read.
type hashLists struct {
	kinds   [len(algorithms)]hashList
	entries int
}

// hashList holds the entries of one algorithm.
type hashList struct {
	sizes   map[int64]struct{} // sizes of the entries, possibly anySize
	digests map[string][]entry // by raw digest
}

type entry struct {
	size int64
	name string
}

func readHashLists(names []string) (*hashLists, error) {
	l := new(hashLists)
	var errs []error
	for i, name := range names {
		if err := l.readFile(name); err != nil {
			errs = append(errs, &backends.KeyError{Key: hashesKey(i), Err: err})
		}
	}
	return l, errors.Join(errs...)
}

func (l *hashLists) readFile(name string) error {
	// Stat first: opening a named pipe would wait for a writer.
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: not a regular file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	r := &io.LimitedReader{R: f, N: maxListBytes + 1}
	err = l.read(r, name)
	if r.N <= 0 {
		return fmt.Errorf("%s: larger than %d bytes", name, maxListBytes)
	}
	return err
}

// read reads a list and collects the errors of its lines, up to a limit.
func (l *hashLists) read(r io.Reader, name string) error {
	var errs []error
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, maxListLine), maxListLine)
	number := 0
	for lines.Scan() {
		number++
		line := lines.Text()
		if number == 1 {
			line = strings.TrimPrefix(line, "\ufeff")
		}
		if err := l.add(strings.TrimSpace(line)); err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: %w", name, number, err))
		}
		if len(errs) == maxListErrors || l.entries > maxListEntries {
			return errors.Join(errs...)
		}
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("the line is longer than %d bytes", maxListLine)
		}
		errs = append(errs, fmt.Errorf("%s:%d: %w", name, number+1, err))
	}
	return errors.Join(errs...)
}

// add parses one line.
func (l *hashLists) add(line string) error {
	if line == "" || line[0] == '#' {
		return nil
	}
	// sha256sum begins a line with \ if the file name is escaped.
	line = strings.TrimPrefix(line, `\`)
	end := strings.IndexFunc(line, func(r rune) bool { return !isHex(r) })
	if end < 0 {
		end = len(line)
	}
	kind := kindOf(end)
	if kind < 0 {
		return fmt.Errorf("%.80q does not begin with an MD5, SHA-1 or SHA-256 in hexadecimal", line)
	}
	e, err := parseEntry(line[:end], line[end:])
	if err != nil {
		return err
	}
	if l.entries++; l.entries > maxListEntries {
		return fmt.Errorf("the lists have more than %d entries", maxListEntries)
	}
	digest, err := hex.DecodeString(line[:end])
	if err != nil {
		return err
	}
	l.kinds[kind].add(string(digest), e)
	return nil
}

func (h *hashList) add(digest string, e entry) {
	if h.digests == nil {
		h.digests = make(map[string][]entry)
		h.sizes = make(map[int64]struct{})
	}
	h.digests[digest] = append(h.digests[digest], e)
	h.sizes[e.size] = struct{}{}
}

// wants reports whether the list has an entry for an object of this size.
func (h *hashList) wants(size int64) bool {
	_, all := h.sizes[anySize]
	_, one := h.sizes[size]
	return all || one
}

// parseEntry parses what follows the digest in a line.
func parseEntry(digest, rest string) (entry, error) {
	if after, ok := strings.CutPrefix(rest, ":"); ok {
		return parseClamAV(after)
	}
	if len(digest) != 64 {
		return entry{}, errors.New("an MD5 or SHA-1 needs a size and a name, as in ClamAV's HASH:SIZE:NAME")
	}
	if rest != "" && rest[0] != ' ' && rest[0] != '\t' {
		return entry{}, fmt.Errorf("%.80q after the hash: want blanks and a name", rest)
	}
	// sha256sum marks files read in binary mode with *.
	name := strings.TrimPrefix(strings.TrimLeft(rest, " \t"), "*")
	if name == "" {
		name = "SHA256." + strings.ToLower(digest[:16])
	}
	return newEntry(anySize, name)
}

// parseClamAV parses SIZE:NAME[:LEVEL[:LEVEL]].
func parseClamAV(rest string) (entry, error) {
	fields := strings.Split(rest, ":")
	if len(fields) < 2 || len(fields) > 4 {
		return entry{}, errors.New("want HASH:SIZE:NAME")
	}
	size := int64(anySize)
	if fields[0] != "*" {
		n, err := strconv.ParseUint(fields[0], 10, 63)
		if err != nil {
			return entry{}, fmt.Errorf("size %.80q: want a number or *", fields[0])
		}
		size = int64(n)
	}
	for _, level := range fields[2:] {
		if _, err := strconv.ParseUint(level, 10, 32); err != nil {
			return entry{}, fmt.Errorf("functionality level %.80q: want a number", level)
		}
	}
	return newEntry(size, fields[1])
}

func newEntry(size int64, name string) (entry, error) {
	if name == "" || len(name) > maxListName {
		return entry{}, fmt.Errorf("the name must have 1 to %d bytes", maxListName)
	}
	// Clone the name, so that the entry does not keep the line in memory.
	return entry{size: size, name: strings.Clone(name)}, nil
}

func isHex(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'f' || r >= 'A' && r <= 'F'
}

package drwebd

import (
	"fmt"
	"regexp"
	"strings"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
)

// bits maps the bits of rc to categories, according to drweb-clients 4.33; exim and
// amavis know the first eighteen. A bit without a category has no effect on the verdict.
var bits = []struct {
	mask     uint32
	category backends.Category
	name     string
}{
	{0x20, backends.Virus, "known virus"},
	{0x80, backends.Virus, "modification of a virus"},
	{0x100, backends.Virus, "cured"},
	{0x80000, backends.Virus, "deleted"},
	{0x40, backends.Suspicious, "unknown virus"},
	{0x400000, backends.Suspicious, "adware"},
	{0x800000, backends.Suspicious, "dialer"},
	{0x1000000, backends.Suspicious, "joke"},
	{0x2000000, backends.Suspicious, "riskware"},
	{0x4000000, backends.Suspicious, "hacktool"},
	{unknown, backends.SWErr, "unknown result"},
	{0x1, backends.SWErr, "read error" + hintRead},
	{0x2, backends.SWErr, "write error"},
	{0x4, backends.SWErr, "not enough memory"},
	{0x8, backends.SWErr, "CRC error"},
	{0x10, backends.SWErr, "error reading from the socket"},
	{0x8000, backends.SWErr, "wrong call"},
	{0x200000, backends.SWErr, "license error"},
	{0x200, backends.Interrupted, "timeout"},
	{0x400, backends.Partial, "symbolic link"},
	{0x800, backends.Partial, "not a regular file"},
	{0x1000, backends.Partial, "skipped"},
	{0x2000, backends.Partial, "too big"},
	{0x4000, backends.Partial, "too compressed"},
	{0x40000, backends.Partial, "archives nested too deeply"},
	{0x100000, backends.OK, "clean"},
	{evaluationKey, "", "evaluation key"},
	{0x20000, "", "spam"},
}

const (
	// unknown are the undocumented bits.
	unknown       = 0xf8000000
	evaluationKey = 0x10000
)

const hintRead = ` (with transport = "path" drwebd's user must be able to read the file)`

// Limits on one answer.
const (
	maxNames = 1000
	maxText  = 4 << 10
	maxBases = 10_000
)

// readAnswer reads an answer: rc and names. path is the requested path, or empty.
func readAnswer(conn *engineconn.Conn, a *backends.Answer, path string) error {
	rc, err := readNumber(conn)
	if err != nil {
		return err
	}
	if err := readNames(conn, a, int(rc), path); err != nil {
		return err // without the names, rc proves nothing
	}
	addBits(rc, a)
	return nil
}

// readNames reads and adds the names.
func readNames(conn *engineconn.Conn, a *backends.Answer, rc int, path string) error {
	count, err := readNumber(conn)
	if err != nil {
		return err
	}
	if count > maxNames {
		return fmt.Errorf("rc %#x with %d names", rc, count)
	}
	for range count {
		text, err := readText(conn, maxText)
		if err != nil {
			return err
		}
		name, ok := nameOf(text, path)
		if !ok {
			return fmt.Errorf("unexpected %.200q, which is not about %q", text, path)
		}
		a.Found(backends.Virus, rc, name, "")
	}
	return nil
}

// addBits adds rc. With names, the bits for a virus add nothing. Old versions have no bit
// for a clean object: then rc is 0 or only the evaluation key.
func addBits(rc uint32, a *backends.Answer) {
	if rc&^evaluationKey == 0 {
		a.Add(backends.OK, int(rc), "")
	}
	for _, b := range bits {
		text := b.name
		switch {
		case rc&b.mask == 0, b.category == "":
			continue
		case b.category.IsFailure():
			text = fmt.Sprintf("rc %#x: %s", rc, b.name)
		case b.category == backends.OK:
			text = ""
		case isNamed(b.category, a):
			continue
		}
		a.Add(b.category, int(rc), text)
	}
	if a.Category() == "" && !a.Failed() {
		a.Add(backends.SWErr, int(rc), fmt.Sprintf("rc %#x does not mean that the object is clean", rc))
	}
}

// isNamed reports whether a bit for this category adds nothing to the names.
func isNamed(c backends.Category, a *backends.Answer) bool {
	return (c == backends.Virus || c == backends.Suspicious) && a.Category() != "" && !backends.Stronger(c, a.Category())
}

// infectedWith matches an answer with a name, as in amavis and exim.
var infectedWith = regexp.MustCompile(`^(.*)\sinfected\swith\s*(.+?)$`)

// nameOf returns NAME of "/path infected with NAME", which must be about path or a member
// of it. Any other text is the name itself.
func nameOf(text, path string) (name string, ok bool) {
	m := infectedWith.FindStringSubmatch(text)
	if m == nil {
		return strings.TrimSpace(text), true
	}
	rest, found := strings.CutPrefix(strings.TrimLeft(m[1], "> "), path)
	return strings.TrimSpace(m[2]), found && (path == "" || rest == "" || rest[0] == '/')
}

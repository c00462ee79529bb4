package drwebd

import (
	"fmt"
	"regexp"
	"strings"

	"polyclam/backends"
	"polyclam/backends/internal/wire"
)

// bits is what each bit of rc amounts to, strongest first: the first that is set
// counts. They are those of drweb-clients 4.33, of which exim and amavis know the
// first eighteen. A bit that is not here is a failure, unless there is a virus.
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
	{0x10000, backends.OK, "evaluation key"},
	{0x20000, backends.OK, "spam"},
}

// unknown are the bits that nobody has told of.
const unknown = 0xf8000000

const hintRead = ` (with transport = "path": its user must be able to read the file)`

// Bounds on what is taken of one answer.
const (
	maxNames     = 1000
	maxText      = 4 << 10
	maxName      = 1 << 10
	maxNameBytes = 32 << 10 // of all names
	maxBases     = 10_000
)

// answer is one answer to a scan.
type answer struct {
	rc    uint32
	count uint32   // of what was found
	names []string // as far as they are kept
}

// readAnswer reads an answer, all of it: half a list of names is none.
func readAnswer(r *reader) (answer, error) {
	var a answer
	var err error
	if a.rc, err = r.number(); err != nil {
		return a, err
	}
	if a.count, err = r.number(); err != nil {
		return a, err
	}
	if a.count > maxNames {
		return a, fmt.Errorf("rc %#x with %d names", a.rc, a.count)
	}
	bytes := 0
	for range a.count {
		text, err := r.text(maxText)
		if err != nil {
			return a, err
		}
		name := wire.Clip(nameOf(text), maxName)
		if bytes += len(name); name != "" && bytes <= maxNameBytes {
			a.names = append(a.names, name)
		}
	}
	return a, nil
}

// infectedWith is how amavis and exim take the name off an answer.
var infectedWith = regexp.MustCompile(`infected\swith\s*(.+?)$`)

// nameOf takes the name off "/path infected with NAME". A text of another form is
// the name itself.
func nameOf(text string) string {
	if m := infectedWith.FindStringSubmatch(text); m != nil {
		return strings.TrimSpace(m[1])
	}
	return strings.TrimSpace(text)
}

// amounts maps the answer.
func (a answer) amounts() (backends.Result, error) {
	category, what := a.strongest()
	code := int(a.rc)
	if a.count > 0 {
		r := backends.Found(code, a.names...)
		if !category.IsFailure() && backends.Stronger(category, r.Category) {
			r.Category = category // the names are weaker than the bits
		}
		r.Detail = what
		return r, nil
	}
	if category.IsFailure() {
		return backends.Result{}, &backends.Failure{Category: category, Code: code, Text: fmt.Sprintf("rc %#x: %s", a.rc, what)}
	}
	if category == backends.OK {
		return backends.Clean(code), nil
	}
	return backends.Result{Category: category, Code: code, Detail: what}, nil
}

// strongest is what rc amounts to.
func (a answer) strongest() (backends.Category, string) {
	for _, b := range bits {
		if a.rc&b.mask != 0 {
			return b.category, b.name
		}
	}
	return backends.OK, ""
}

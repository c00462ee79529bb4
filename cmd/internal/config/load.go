package config

import (
	"fmt"
	"io"
	"os"

	"github.com/BurntSushi/toml"

	"polyclam/cmd/internal/config/decode"
	"polyclam/cmd/internal/config/position"
	"polyclam/cmd/internal/size"
)

// maxFile is the size of the largest file that Load reads.
const maxFile = 1 << 20

// Load reads and checks the file at path. If the file can be read, an error is a
// [Problems].
func Load(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat() // before the file is read: a later change must not go unnoticed
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	file, err := Parse(path, data)
	if err != nil {
		return nil, err
	}
	file.Modified = info.ModTime()
	return file, nil
}

// Parse checks the text of a configuration file. The name is for messages. An error is a
// [Problems].
func Parse(name string, data []byte) (*File, error) {
	if len(data) > maxFile {
		return nil, Problems{{File: name, Line: 1, Text: "the file is larger than " + size.Human(maxFile)}}
	}
	lines, tooDeep := position.Find(string(data))
	if tooDeep > 0 {
		return nil, Problems{{File: name, Line: tooDeep, Text: fmt.Sprintf("nested deeper than %d levels; no key needs that", position.MaxDepth)}}
	}
	var document map[string]any
	if err := toml.Unmarshal(data, &document); err != nil {
		return nil, Problems{syntaxProblem(name, err, lines)}
	}
	f, r := newFile(name), &report{file: name, lines: lines}
	f.lines = lines
	for _, fault := range decode.Decode(document, f, unknownKey) {
		r.fail(fault.Path, "%s", fault.Text)
	}
	validate(f, r)
	if len(r.problems) > 0 {
		r.problems.Sort()
		return nil, r.problems
	}
	f.complete(r)
	return f, nil
}

// complete fills in values that depend on other keys, and adds the warnings.
func (f *File) complete(r *report) {
	if r.has("limits.spool_total") {
		f.spoolTotalLine = r.lines.Line("limits.spool_total")
	}
	f.cacheMemorySet = r.has(cachePath.Key("memory"))
	for i := range f.Engines {
		e := &f.Engines[i]
		if e.Address != "" {
			e.Address, e.Addresses = "", []string{e.Address}
		}
		if e.MaxDelay == 0 {
			e.MaxDelay = e.Timeout / 10
		}
	}
	if f.Store.Directory == "" && f.needsDirectory() {
		f.Store.Directory = spoolDirectory(os.Getenv)
	}
	warn(f, r)
	r.warnings.Sort()
	f.Warnings = r.warnings
	f.moveServices()
}

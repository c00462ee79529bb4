package config

import (
	"fmt"

	"polyclam/cmd/internal/config/decode"
	"polyclam/cmd/internal/config/position"
	"polyclam/cmd/internal/suggest"
)

// clamdNames maps options of clamd.conf to their names here.
var clamdNames = map[string]string{
	"StreamMaxLength":       "stream in [limits]",
	"CommandReadTimeout":    "command_read_timeout in [limits]",
	"ReadTimeout":           "read_timeout in [limits]",
	"SendBufTimeout":        "write_timeout in [limits]",
	"MaxDirectoryRecursion": "directory_depth in [limits]",
	"MaxThreads":            "max_scans in [[engine]]",
	"LocalSocket":           "address in [[listener]]",
	"TCPSocket":             "address in [[listener]]",
	"TCPAddr":               "address in [[listener]]",
	"LocalSocketMode":       "mode in [[listener]]",
	"LocalSocketGroup":      "group in [[listener]]",
	"TemporaryDirectory":    "directory in [spool]",
}

// renamedKey is the former name of engine, as a table and as a key of [[rule]].
const renamedKey = "upstream"

// unknownKey explains an unknown key: as a misspelling, else as a key of another table,
// else as an option of clamd.conf.
func unknownKey(table position.Path, key string, known []string) string {
	home, misplaced := homes()[key]
	clamd, isClamd := clamdNames[key]
	switch {
	case key == renamedKey && table == "":
		return "renamed to engine; write [[engine]]"
	case key == renamedKey && table.Name() == "rule":
		return `renamed to engine; write engine = "..."`
	case suggest.Nearest(key, known) != "":
	case misplaced:
		return fmt.Sprintf("unknown key %q here; it belongs %s", key, home)
	case isClamd:
		return fmt.Sprintf("unknown key %q; the key for this option of clamd.conf is %s", key, clamd)
	}
	return suggest.Unknown("key", key, known)
}

// homes maps each key to the table where it belongs.
func homes() map[string]string {
	homes := map[string]string{}
	for _, table := range []struct {
		place string
		keys  any
	}{
		{"in [cache]", Cache{}},
		{"in [http]", HTTP{}},
		{"in [admin]", Admin{}},
		{"in [[engine]]", Engine{}},
		{"in [[listener]]", Listener{}},
		{"in [policy]", Policy{}},
		{"in [log]", Log{}},
		{"in [spool]", Spool{}},
		{"in [limits]", Limits{}},
		{"at the top of the file, before all tables", File{}},
	} {
		for _, key := range decode.Keys(table.keys) {
			homes[key] = table.place
		}
	}
	return homes
}

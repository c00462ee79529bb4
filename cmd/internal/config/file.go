package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/BurntSushi/toml"

	"polyclam/proxy"
	"polyclam/proxy/files"
	"polyclam/proxy/spool"
)

// File is a configuration, checked and complete: what the file does not say is
// filled in with defaults. It holds nothing open.
type File struct {
	Name      string // of the file; "the embedded default"
	Listeners []Listener
	Engines   []Engine
	Policy    Policy
	Limits    proxy.Limits
	Log       Log
	// ScanPaths are the roots below which path commands may read; none: no
	// restriction.
	ScanPaths []string
	// ShutdownGrace is how long sessions may go on after SIGTERM.
	ShutdownGrace time.Duration
	// Warnings are what is doubtful in the file, but can be run.
	Warnings Problems

	spool          spool.Config
	spoolTotalLine int // 0: the file does not have the key
}

// Spool returns the configuration of the content store.
func (f *File) Spool() spool.Config {
	c := f.spool
	c.Share, c.Largest = f.Limits.ClientShare, f.Limits.Stream
	c.Hash = f.Log.SHA256
	return c
}

// Log is the [log] table.
type Log struct {
	Level  string // "trace", "debug", "info", "warn" or "error"
	Format string // "json", "console", or "auto": console on a terminal
	SHA256 bool   // put the digest of the content into the line of each scan
}

// Levels returns the words for the level of the log.
func Levels() []string { return []string{"trace", "debug", "info", "warn", "error"} }

// maxFile is the size of the largest file that Load reads.
const maxFile = 1 << 20

// Load reads and checks the file at path. The error is a [Problems] if the file
// could be read.
func Load(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// Parse checks the text of a configuration file. The name is for messages. The
// error is a [Problems].
func Parse(name string, data []byte) (*File, error) {
	f := newFile(name)
	if len(data) > maxFile {
		return nil, Problems{{File: name, Line: 1, Text: fmt.Sprintf("the file is larger than %s", formatSize(maxFile))}}
	}
	scanned := scan(string(data))
	if scanned.deep > 0 {
		return nil, Problems{{File: name, Line: scanned.deep, Text: fmt.Sprintf("nested deeper than %d; no key needs that", maxDepth)}}
	}
	var root map[string]any
	if err := toml.Unmarshal(data, &root); err != nil {
		return nil, Problems{syntaxProblem(name, err)}
	}
	r := &reader{file: name, lines: scanned.lines, homes: f.homes()}
	r.table("", root, f.keys(), nil)
	f.check(r)
	r.problems.sort()
	r.warnings.sort()
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	f.Warnings = r.warnings
	return f, nil
}

func syntaxProblem(name string, err error) Problem {
	var syntax toml.ParseError
	if !errors.As(err, &syntax) {
		return Problem{File: name, Line: 1, Text: err.Error()}
	}
	return Problem{File: name, Line: max(1, syntax.Position.Line), Key: syntax.LastKey, Text: syntax.Message}
}

// newFile returns a File of defaults, without listeners and engines.
func newFile(name string) *File {
	return &File{
		Name:   name,
		Policy: defaultPolicy(),
		Limits: proxy.Limits{
			Stream:             100 << 20,
			CommandReadTimeout: 30 * time.Second,
			ReadTimeout:        120 * time.Second,
			WriteTimeout:       30 * time.Second,
			StreamMinRate:      100,
			StreamMaxTime:      time.Hour,
			Connections:        20000,
			Waiting:            4096, // as many as the kernel's backlog, somaxconn
			ClientShare:        75,
			SessionScans:       16,
			DirectoryDepth:     15, // clamd's MaxDirectoryRecursion
			FileThreads:        files.DefaultThreads,
		},
		Log:           Log{Level: "info", Format: "auto", SHA256: true},
		ShutdownGrace: 30 * time.Second,
		spool: spool.Config{
			Memory: 256 << 10, Total: mostSpool, Store: spool.Memfd,
			PathMode: 0o600, PathGroup: NoGroup, Wait: 30 * time.Second,
		},
	}
}

// keys are the keys of the file, except those of the three arrays of tables.
func (f *File) keys() []key {
	return []key{
		{"scan_paths", list(&f.ScanPaths, parseAbs)},
		{"shutdown_grace", duration(&f.ShutdownGrace)},
		{"listener", tables(f.readListener)},
		{"engine", tables(f.readEngine)},
		{"policy", section(f.Policy.keys())},
		{"rule", tables(f.readRule)},
		{"limits", section(f.limitKeys())},
		{"spool", section(f.spoolKeys())},
		{"log", section(f.Log.keys())},
	}
}

// homes says in which table each key belongs.
func (f *File) homes() map[string]string {
	var address string
	homes := map[string]string{}
	for _, table := range []struct {
		name string
		keys []key
	}{
		{"[[engine]]", new(Engine).keys(&address)},
		{"[[listener]]", new(Listener).keys()},
		{"[policy]", f.Policy.keys()},
		{"[log]", f.Log.keys()},
		{"[spool]", f.spoolKeys()},
		{"[limits]", f.limitKeys()},
	} {
		for _, k := range table.keys {
			homes[k.name] = table.name
		}
	}
	for _, name := range []string{"scan_paths", "shutdown_grace"} {
		homes[name] = "the top of the file, before all tables"
	}
	return homes
}

func (f *File) limitKeys() []key {
	l := &f.Limits
	return []key{
		{"stream", size(&l.Stream)},
		{"command_read_timeout", duration(&l.CommandReadTimeout)},
		{"read_timeout", duration(&l.ReadTimeout)},
		{"write_timeout", duration(&l.WriteTimeout)},
		{"stream_min_rate", size(&l.StreamMinRate)},
		{"stream_max_time", duration(&l.StreamMaxTime)},
		{"spool_memory", size(&f.spool.Memory)},
		{"spool_total", size(&f.spool.Total)},
		{"connections", count(&l.Connections, 1, 1_000_000)},
		{"waiting", count(&l.Waiting, 0, 1_000_000)},
		{"client_share", count(&l.ClientShare, 1, 100)},
		{"session_scans", count(&l.SessionScans, 1, 10_000)},
		{"directory_depth", count(&l.DirectoryDepth, 1, 1000)},
		{"file_threads", count(&l.FileThreads, 4, 4096)},
	}
}

func (f *File) spoolKeys() []key {
	return []key{
		{"store", word(&f.spool.Store, spool.Memfd, spool.Tmpfile)},
		{"directory", parsed(&f.spool.Dir, parseAbs)},
		{"path_mode", parsed(&f.spool.PathMode, parsePathMode)},
		{"path_group", parsed(&f.spool.PathGroup, parseGroup)},
		{"wait", duration(&f.spool.Wait)},
	}
}

func (l *Log) keys() []key {
	return []key{
		{"level", word(&l.Level, Levels()...)},
		{"format", word(&l.Format, "json", "console", "auto")},
		{"sha256", flag(&l.SHA256)},
	}
}

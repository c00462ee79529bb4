package main

import (
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"polyclam/backends/access"
	"polyclam/cmd/internal/config"
	"polyclam/cmd/internal/machine"
	"polyclam/protocol/extended"
)

// describeUser fills in the user and groups of this process. Names that do not exist are
// left as numbers.
func (d *process) describeUser() {
	a := &d.about
	id := access.Self()
	a.UID, a.User = int64(id.UID), access.UserName(id.UID)
	names, numbers := make([]string, len(id.GIDs)), make([]string, len(id.GIDs))
	for i, gid := range id.GIDs {
		names[i], numbers[i] = access.GroupName(gid), strconv.Itoa(gid)
	}
	a.Groups, a.GIDs = list(names), list(numbers)
}

// maxList is the length of a list in a record of XSTATUS.
const maxList = 256

// list joins as many values as fit.
func list(values []string) string {
	text := strings.Join(values, ",")
	for len(text) > maxList {
		text = text[:max(0, strings.LastIndexByte(text, ','))]
	}
	return text
}

// describeConfig sets what XSTATUS reports about the configuration in use.
func (d *process) describeConfig(file *config.File, f *fitting) {
	a := &d.about
	a.Config, a.ConfigTime = "", file.Modified
	if file.Name != config.DefaultName {
		a.Config = absolute(file.Name)
	}
	a.ConfigRefused, a.ConfigProblem = time.Time{}, ""
	a.MemoryNeeded, a.MemoryLimit, a.MemoryLimitFrom = f.need.Memory.Sum(), 0, ""
	if f.memory != machine.None && f.memory.Hard {
		a.MemoryLimit, a.MemoryLimitFrom = f.memory.N, f.memory.From
	}
	d.server.SetAbout(*a)
}

// absolute returns a path that does not depend on the directory of this process.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// describeRefusal makes XSTATUS report that a reload of the file, as last modified at that
// time, was refused.
func (d *process) describeRefusal(err error, modified time.Time) {
	noteRefusal(&d.about, err, modified, time.Now())
	d.server.SetAbout(d.about)
}

// noteRefusal records a refused reload. The time is that of the first one in a row since the
// file was modified.
func noteRefusal(a *extended.About, err error, modified, now time.Time) {
	if a.ConfigRefused.IsZero() || modified.After(a.ConfigRefused) {
		a.ConfigRefused = now
	}
	a.ConfigProblem = firstProblem(err)
}

// firstProblem returns the first line of err, or its first problem.
func firstProblem(err error) string {
	var problems config.Problems
	if errors.As(err, &problems) {
		return problems.First()
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	return first
}

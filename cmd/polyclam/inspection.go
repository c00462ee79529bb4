package main

import (
	"cmp"
	"context"
	"path/filepath"
	"strings"

	"polyclam/backends/access"
	"polyclam/cmd/internal/config"
	"polyclam/cmd/internal/migrate"
	"polyclam/protocol/extended"
)

// finding is something that check found, with what to do about it.
type finding struct {
	text string
	exit int // exitOK: nothing is broken
}

// inspection is what check knows in addition to the results of its trials.
type inspection struct {
	file    *config.File
	options trialOptions
	root    string // the directory to look in as if it were "/"

	daemon   *serverStatus    // nil: no polyclamd answers
	identity access.Identity  // of the daemon
	known    bool             // the daemon reports its identity
	machine  *migrate.Machine // nil: nothing is known about clamd's clients
}

// inspect asks the running polyclamd, and looks for clamd and its clients.
func (t *tool) inspect(file *config.File, o trialOptions) *inspection {
	in := &inspection{file: file, options: o, root: t.root, daemon: t.askDaemon()}
	if in.daemon != nil {
		in.identity, in.known = identity(&in.daemon.Server)
	}
	if m, err := migrate.Look(migrate.Options{Root: t.root}); err == nil {
		in.machine = m
	}
	return in
}

// askDaemon returns the status of the running polyclamd, or nil if none answers in full.
func (t *tool) askDaemon() *serverStatus {
	p, err := t.places()
	if err != nil {
		return nil
	}
	var records []extended.Record
	s, err := p.reach("polyclamd", func(ctx context.Context, s *server) (err error) {
		records, err = s.client.XStatus(ctx)
		return err
	})
	if err != nil {
		return nil
	}
	st := readStatus(records)
	if st.Brief {
		return nil // its nodes have no addresses to compare
	}
	st.Address = s.String()
	return st
}

// findings returns everything that is not in the results of a single trial.
func (in *inspection) findings(trials []trial) (list []finding) {
	list = append(list, in.views(trials)...)
	list = append(list, in.ages(trials)...)
	list = append(list, in.loops(trials)...)
	list = append(list, in.clients()...)
	list = append(list, in.spool()...)
	list = append(list, in.memory()...)
	return append(list, in.settings(trials)...)
}

// listener returns the listener of an address, which may have symbolic links in it, or nil.
func (in *inspection) listener(address string) *config.Listener {
	for i := range in.file.Listeners {
		if l := &in.file.Listeners[i]; in.real(l.Address) == in.real(address) {
			return l
		}
	}
	return nil
}

// real returns an address without symbolic links in the directory of a socket.
func (in *inspection) real(address string) string {
	path, ok := strings.CutPrefix(address, "unix:")
	if !ok {
		return strings.ToLower(address)
	}
	path = filepath.Join(cmp.Or(in.root, "/"), path)
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(dir, filepath.Base(path))
	}
	return "unix:" + path
}

// engine returns an engine of the configuration by its name.
func (in *inspection) engine(name string) *config.Engine {
	for i := range in.file.Engines {
		if e := &in.file.Engines[i]; e.Name == name {
			return e
		}
	}
	return nil
}

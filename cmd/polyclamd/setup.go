package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"polyclam/cmd/internal/config"
	"polyclam/cmd/internal/listen"
	"polyclam/cmd/internal/sockaddr"
	"polyclam/proxy"
	"polyclam/proxy/cache"
	"polyclam/proxy/ops"
	"polyclam/proxy/spool"
)

// setup opens everything that a configuration names. The start, each reload and --check run
// the same steps, so that --check finds what would fail at a start. Files, disks and name
// servers may hang, and so may a setup.
type setup struct {
	options     options
	log         zerolog.Logger
	descriptors uint64
	isCheck     bool         // open no socket, and create nothing
	spool       *spool.Spool // of the running daemon; nil: the setup creates one
	inherited   sockets
	serving     sockets      // all that the daemon serves
	before      *config.File // what they serve; nil at the start
	running     *cache.Cache // that the daemon uses; nil: none
	resolver    sockaddr.Resolver
	checker     listen.Checker // for isCheck

	step    atomic.Value  // string: the current step, for the log
	aborted chan struct{} // closed when the daemon ends; nil: never

	file     *config.File // nil: to be read
	settings *config.Settings
	fitted   *fitting
	kept     sockets // inherited, or served already
	opened   sockets
	config   *proxy.Config
	cache    *cache.Cache // may be the running one; nil: none
	ops      ops.Config
	change   *spool.Change

	ownSpool bool // the setup has created the spool
}

// errAborted ends a setup because the daemon is stopping. It is never logged.
var errAborted = errors.New("the daemon is stopping")

// open runs the steps. Its error lists the problems of all of them. Sockets come last, because
// clients can connect to them from then on, and only if nothing else failed.
func (s *setup) open() error {
	var failed failures
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"read the configuration and the files that it names", s.load},
		{"look up the addresses of the listeners", s.resolve},
		{"read the memory limits and the kind of the spool directory", s.fit},
		{"check the spool directory", s.prepareSpool},
		{"open the cache, with the files that its keys name", s.openCache},
		{"open the engines, with the files that their keys name", s.build},
		{"read the token and the certificate of [http]", s.readHTTP},
		{"look for the paths and host names", s.look},
		{"open the listeners", s.listen},
	} {
		if s.isAborted() {
			return errAborted
		}
		s.step.Store(step.name)
		if step.name == "open the listeners" && !s.isCheck && failed.any() {
			break
		}
		if err := step.do(); err != nil {
			failed.add(err)
		}
		if s.file == nil {
			break
		}
	}
	return failed.err()
}

func (s *setup) isAborted() bool {
	select {
	case <-s.aborted:
		return true
	default:
		return false
	}
}

func (s *setup) load() (err error) {
	if s.file == nil {
		s.file, err = s.options.load()
	}
	if err == nil {
		s.settings = s.file.Settings()
	}
	return err
}

func (s *setup) fit() error {
	held := int64(0)
	if s.spool != nil {
		held = s.spool.Stats().Used
	}
	s.fitted = fit(s.file, s.descriptors, held)
	return nil
}

func (s *setup) prepareSpool() (err error) {
	c := s.file.Spool()
	switch {
	case s.isCheck:
		err = spool.Check(c)
	case s.spool == nil:
		s.spool, err = spool.New(c)
		s.ownSpool = err == nil
	default:
		s.change, err = s.spool.Prepare(c)
	}
	if err != nil {
		return config.Problems{s.file.SpoolProblem(err)}
	}
	return nil
}

func (s *setup) openCache() (err error) {
	if s.isCheck {
		return s.file.CheckCache()
	}
	s.cache, err = s.file.OpenCache(s.running, s.log)
	s.file.UseCache(s.cache)
	return err
}

func (s *setup) build() (err error) {
	if s.spool == nil && !s.isCheck {
		return nil // its error is known
	}
	s.config, err = s.file.Build(s.spool, s.log)
	return err
}

// lookupTime bounds the look-ups of all names together.
const lookupTime = 20 * time.Second

// look adds warnings about what is missing but may appear later. Only --check waits for that.
func (s *setup) look() error {
	if !s.isCheck {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTime)
	defer cancel()
	s.file.Look(ctx, s.resolver)
	return nil
}

// close releases everything that open has opened.
func (s *setup) close() {
	s.opened.close()
	if s.config != nil {
		for _, e := range s.config.Engines {
			e.Close()
		}
	}
	if s.cache != s.running {
		s.cache.Close()
	}
	switch {
	case s.change != nil:
		s.change.Release()
	case s.ownSpool:
		s.spool.Close()
	}
	s.opened, s.config, s.change, s.cache = nil, nil, nil, nil
}

// failures collects the errors of several steps.
type failures struct {
	problems config.Problems
	others   []error
}

func (f *failures) add(err error) {
	if problems, ok := err.(config.Problems); ok {
		f.problems = append(f.problems, problems...)
		return
	}
	f.others = append(f.others, err)
}

func (f *failures) any() bool { return len(f.problems)+len(f.others) > 0 }

// err returns a [config.Problems] if everything is a problem of the file.
func (f *failures) err() error {
	switch {
	case len(f.others) == 0 && len(f.problems) == 0:
		return nil
	case len(f.others) == 0:
		f.problems.Sort()
		return f.problems
	case len(f.problems) > 0:
		f.problems.Sort()
		f.others = append(f.others, f.problems)
	}
	return errors.Join(f.others...)
}

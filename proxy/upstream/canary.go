package upstream

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"polyclam/backends"
	"polyclam/proxy/testfile"
)

// Canary is what a node said of the test contents, the last time it was asked.
type Canary struct {
	Time time.Time `json:"time,omitzero"` // when the answer was there; zero: never asked
	// EICAR is what the EICAR test file amounted to, as it would for a mail, and
	// Name what the engine called it. A node is up if it is virus or suspicious.
	EICAR backends.Category `json:"eicar,omitempty"`
	Name  string            `json:"name,omitempty"`
	// Encrypted is what a small encrypted archive amounted to: encrypted if the
	// engine can tell. It is for information; empty: not asked.
	Encrypted backends.Category `json:"encrypted,omitempty"`
	Error     string            `json:"error,omitempty"` // why EICAR is a failure
}

// startCanary asks n for its canary unless that is under way. The caller has mu.
func (u *Upstream) startCanary(n *node) {
	if n.proving {
		return
	}
	n.proving, n.rush = true, false
	go u.prove(n)
}

// prove asks n for both canaries and draws the conclusions.
func (u *Upstream) prove(n *node) {
	r, err := u.try(n, testfile.EICAR())
	u.conclude(n, r, err)
	if err != nil || !detected(r) {
		return
	}
	r, err = u.try(n, testfile.Encrypted())
	category := r.Category
	if err != nil {
		category = backends.CategoryOf(err)
	}
	u.mu.Lock()
	n.canary.Encrypted = category
	u.mu.Unlock()
	u.version(u.life, n)
}

// inconclusive is the error of a canary that told nothing about its node.
type inconclusive struct{ error }

func (e inconclusive) Unwrap() error { return e.error }

// try scans data on n, in a slot of n's own like any other content.
func (u *Upstream) try(n *node, data []byte) (backends.Result, error) {
	ctx, cancel := context.WithTimeout(u.life, u.cfg.Timeout)
	defer cancel()
	c, release, err := u.spool(n, data)
	if err != nil {
		return backends.Result{}, inconclusive{fmt.Errorf("test file: %w", err)}
	}
	if _, keeps := c.(retainer); keeps {
		defer release() // as it is, so that the backend sees what it sees of a mail
	} else {
		kept := &shared{Content: c, release: release}
		kept.Retain()
		defer kept.Release()
		c = kept
	}
	t := newTicket()
	t.only = n
	if _, err := u.acquire(ctx, t); err != nil {
		return backends.Result{}, inconclusive{fmt.Errorf("test file: %w", err)}
	}
	r, err := u.ask(ctx, &question{node: n, content: c, canary: true})
	if err != nil && u.life.Err() != nil {
		return r, inconclusive{err}
	}
	return r, err
}

// spool makes a content; a panic of the site's own Spool is an error too.
func (u *Upstream) spool(n *node, data []byte) (c backends.Content, release func(), err error) {
	err = u.protect(n, func() (err error) {
		c, release, err = u.cfg.Spool(data)
		return err
	})
	return c, release, err
}

// conclude makes the state of n what its EICAR canary told. A scan that waited
// for this canary, because it has no usable node, need not wait any more.
func (u *Upstream) conclude(n *node, r backends.Result, err error) {
	u.mu.Lock()
	n.proving = false
	if _, nothing := err.(inconclusive); nothing {
		n.due = time.Now().Add(firstPause)
		u.disappoint(n, err)
		u.rouse()
		u.dispatchAll()
		u.mu.Unlock()
		return
	}
	n.canary = told(r, err)
	next, reason := up, err
	switch {
	case err != nil:
		next = down
		if n.state == blind {
			next = blind // it answers nothing now, and nothing useful before
		}
	case !detected(r):
		next, reason = blind, errBlind
		n.lapses++
	}
	n.state = next
	if next != up {
		u.disappoint(n, reason)
	}
	c := u.set(n, next, reason)
	u.mu.Unlock()
	u.tell(c)
}

// disappoint takes n from the hopes of all who have no usable node.
func (u *Upstream) disappoint(n *node, reason error) {
	for e := u.queue.Front(); e != nil; e = e.Next() {
		t := e.Value.(*ticket)
		if t.only == nil && !u.anyUsable(t) && !slices.Contains(t.tried, n) {
			t.tried = append(t.tried, n)
			t.last, t.err = n, reason
		}
	}
}

// told is what the answer to EICAR says for the status.
func told(r backends.Result, err error) Canary {
	c := Canary{Time: time.Now(), EICAR: r.Category}
	if err != nil {
		c.EICAR, c.Error = backends.CategoryOf(err), bounded(err.Error())
	}
	if len(r.Findings) > 0 {
		c.Name = bounded(r.Findings[0].Name)
	}
	return c
}

// shared is a canary's content that cannot be retained itself. It lives as long as a backend, left behind or
// not, may read it.
type shared struct {
	backends.Content
	users   atomic.Int32
	release func()
}

// Retain adds a user.
func (s *shared) Retain() { s.users.Add(1) }

// Release takes a user away, and with the last one the content.
func (s *shared) Release() {
	if s.users.Add(-1) == 0 && s.release != nil {
		s.release()
	}
}

// memory is the content of a canary where there is no spool: bytes, and a memfd
// for engines that want a descriptor or a path.
type memory struct {
	*bytes.Reader
	data []byte
	mu   sync.Mutex
	file *os.File
}

func inMemory(data []byte) (backends.Content, func(), error) {
	m := &memory{Reader: bytes.NewReader(data), data: data}
	return m, m.close, nil
}

// File implements [backends.Content].
func (m *memory) File() (*os.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.file != nil {
		return m.file, nil
	}
	fd, err := unix.MemfdCreate("polyclam-canary", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd: %w", err)
	}
	f := os.NewFile(uintptr(fd), "canary")
	if _, err := f.Write(m.data); err != nil {
		f.Close()
		return nil, fmt.Errorf("memfd: %w", err)
	}
	m.file = f
	return f, nil
}

// Path implements [backends.Content].
func (m *memory) Path() (string, error) {
	f, err := m.File()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd()), nil
}

func (m *memory) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.file != nil {
		m.file.Close()
	}
}

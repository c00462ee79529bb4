package allow

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"polyclam/test/testkit"
)

func lookup(known map[string]uint32) Lookup {
	return func(name string) (uint32, error) {
		if id, ok := known[name]; ok {
			return id, nil
		}
		return 0, errors.New("there is no " + name)
	}
}

var (
	users      = lookup(map[string]uint32{"polyclam": 104, "33": 33})
	groupNames = lookup(map[string]uint32{"mail": 8, "9": 9})
)

func list(t *testing.T, texts ...string) List {
	t.Helper()
	var entries []Entry
	for _, text := range texts {
		e, err := Parse(text, users, groupNames)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	return New(entries)
}

func TestAddress(t *testing.T) {
	for _, tt := range []struct {
		entries []string
		address string
		want    bool
	}{
		{nil, "192.0.2.1", true},
		{[]string{"10.0.0.0/8"}, "10.255.0.1", true},
		{[]string{"10.0.0.0/8"}, "11.0.0.1", false},
		{[]string{"10.0.0.0/8"}, "::ffff:10.0.0.1", true}, // of a socket for both families
		{[]string{"192.0.2.1"}, "192.0.2.1", true},
		{[]string{"192.0.2.1"}, "192.0.2.2", false},
		{[]string{"::ffff:192.0.2.1"}, "192.0.2.1", true},
		{[]string{"10.0.0.0/8", "2001:db8::/32"}, "2001:db8:1::1", true},
		{[]string{"2001:db8::/32"}, "2001:db9::1", false},
		{[]string{"2001:db8::1"}, "2001:db8::2", false}, // not its /64
		{[]string{"fe80::/10"}, "fe80::1%eth0", true},
		{[]string{"0.0.0.0/0"}, "2001:db8::1", false},
		{[]string{"::/0"}, "192.0.2.1", false},
		{[]string{"uid:33"}, "192.0.2.1", false},
	} {
		l := list(t, tt.entries...)
		if got := l.Address(netip.MustParseAddr(tt.address)); got != tt.want {
			t.Errorf("%v, %s: %v", tt.entries, tt.address, got)
		}
	}
}

func TestProcess(t *testing.T) {
	for _, tt := range []struct {
		entries  []string
		uid, gid uint32
		groups   []uint32 // nil: must not be asked for
		want     bool
	}{
		{nil, 1, 1, nil, true},
		{[]string{"uid:polyclam"}, 104, 1, nil, true},
		{[]string{"uid:33"}, 34, 33, nil, false}, // a user's number is not a group's
		{[]string{"uid:33"}, 0, 0, nil, false},   // root is no exception
		{[]string{"uid:33", "gid:mail"}, 5, 8, nil, true},
		{[]string{"gid:mail"}, 8, 5, []uint32{7, 6}, false},
		{[]string{"gid:9", "gid:mail"}, 5, 5, []uint32{7, 8}, true},
		{[]string{"10.0.0.0/8"}, 0, 0, nil, false},
	} {
		l := list(t, tt.entries...)
		got := l.Process(tt.uid, tt.gid, func() []uint32 {
			if tt.groups == nil {
				t.Errorf("%v: asked for groups", tt.entries)
			}
			return tt.groups
		})
		if got != tt.want {
			t.Errorf("%v, %d:%d %v: %v", tt.entries, tt.uid, tt.gid, tt.groups, got)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                  `"" is not an address`,
		"mail.example.org":  "is not an address; write an address or a prefix such as",
		"10.0.0.0/33":       "is not a prefix",
		"10.0.0.1/8":        `write "10.0.0.0/8" for the network, or "10.0.0.1" for the one host`,
		"::ffff:10.0.0.0/8": "write it as IPv4",
		"fe80::1%eth0":      `has a zone, which is not checked; write "fe80::1"`,
		"uid:nobody-here":   "there is no nobody-here",
		"gid:":              "there is no ",
		"user:polyclam":     "is not an address",
	} {
		if e, err := Parse(text, users, groupNames); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v, want %s", text, e, err, want)
		}
	}
}

// FuzzParse checks that an entry that is accepted matches its own address.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"10.0.0.0/8", "2001:db8::1", "::ffff:1.2.3.4", "uid:33", "gid:mail", "::/0", "fe80::1%a"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Parse(text, users, groupNames)
		if err != nil {
			return
		}
		l := New([]Entry{e})
		if l.Everyone() || e.Kind == Network && !l.Address(e.Prefix.Addr()) {
			t.Errorf("%q: %+v", text, e)
		}
	})
}

// connected returns both ends of a connection through a Unix socket. dial connects.
func connected(t *testing.T, dial func(path string) (net.Conn, error)) (client, server *net.UnixConn) {
	t.Helper()
	path := filepath.Join(testkit.SocketDir(t), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	os.Chmod(path, 0o666)
	one, err := dial(path)
	if err != nil {
		t.Fatal(err)
	}
	two, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { one.Close(); two.Close() })
	return one.(*net.UnixConn), two.(*net.UnixConn)
}

// TestConn checks the credentials that the kernel reports for this process.
func TestConn(t *testing.T) {
	_, nc := connected(t, func(path string) (net.Conn, error) { return net.Dial("unix", path) })
	own, strange := New([]Entry{{Kind: User, ID: uint32(os.Geteuid())}}), New([]Entry{{Kind: User, ID: 4242424}})
	if entry, ok := own.Conn(nc); !ok {
		t.Errorf("not allowed: %s", entry)
	}
	entry, ok := strange.Conn(nc)
	if want := New([]Entry{mustParse(t, entry)}); ok {
		t.Error("a stranger's list allows this user")
	} else if _, ok := want.Conn(nc); !ok {
		t.Errorf("the entry %s does not allow this user", entry)
	}
	have, _ := os.Getgroups()
	got := Groups(nc)
	for _, gid := range have {
		if !slices.Contains(got, uint32(gid)) {
			t.Errorf("the group %d is missing in %v", gid, got)
		}
	}
}

func mustParse(t *testing.T, text string) Entry {
	t.Helper()
	e, err := Parse(text, lookup(map[string]uint32{"0": 0, "1000": 1000}), groupNames)
	if err != nil {
		t.Skip(err) // another user than those above
	}
	return e
}

// TestSupplementaryGroups connects as a member of many groups, more than are read in the
// first attempt.
func TestSupplementaryGroups(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can join groups")
	}
	for _, n := range []int{0, 1, usualGroups, usualGroups + 1, 1000} {
		_, nc := connected(t, func(path string) (nc net.Conn, err error) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
				gids := make([]uint32, n+1)
				for i := range n {
					gids[i] = uint32(50000 + i)
				}
				if _, _, errno := syscall.RawSyscall(syscall.SYS_SETGROUPS, uintptr(n), uintptr(pointer(gids)), 0); errno != 0 {
					err = errno
					return
				}
				nc, err = net.Dial("unix", path)
			}()
			<-done
			return nc, err
		})
		last := New([]Entry{{Kind: Group, ID: uint32(50000 + n - 1)}})
		if _, ok := last.Conn(nc); ok != (n > 0) {
			t.Errorf("%d groups: %v", n, ok)
		}
		if got := len(Groups(nc)); got != n {
			t.Errorf("%d groups read, want %d", got, n)
		}
	}
}

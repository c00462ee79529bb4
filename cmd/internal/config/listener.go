package config

import (
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/protocol/dataport"
	"polyclam/proxy/policy"
	"polyclam/proxy/status"
)

// Listener is a [[listener]] table.
type Listener struct {
	Address string      // "unix:/path" or "tcp:host:port"
	Mode    fs.FileMode // of a Unix socket
	Group   int         // of a Unix socket; NoGroup
	// Profile is the preset that the client key names, with what the listener
	// says over it.
	Profile         status.Profile
	PathCommands    bool
	ShutdownCommand bool
	ReloadCommand   bool
	StreamCommand   bool
	StreamPorts     dataport.Range
	// Actions are the listener's own, over all others.
	Actions map[backends.Category]policy.Action

	path string // in the file
}

// NewListener returns the defaults of a listener on address: those of its kind
// of address, for a generic client.
func NewListener(address string) Listener {
	profile, _ := status.Lookup(genericClient)
	unix := strings.HasPrefix(address, "unix:")
	return Listener{
		Address: address,
		Mode:    0o666, // clamd's LocalSocketMode
		Group:   NoGroup,
		Profile: profile,
		// A client on the same host sees the same files and is trusted with
		// more; clamd makes no difference.
		PathCommands:  unix,
		ReloadCommand: unix,
	}
}

const genericClient = "generic"

func (l *Listener) keys() []key {
	client := l.Profile.Client
	return []key{
		{"address", text(&l.Address)},
		{"mode", parsed(&l.Mode, parseMode)},
		{"group", parsed(&l.Group, parseGroup)},
		{"client", word(&client, status.Names()...)},
		{"status", word(&l.Profile.Form, status.Plain, status.Extended, status.Annotated)},
		{"path_commands", flag(&l.PathCommands)},
		{"shutdown_command", flag(&l.ShutdownCommand)},
		{"reload_command", flag(&l.ReloadCommand)},
		{"stream_command", flag(&l.StreamCommand)},
		{"stream_ports", parsed(&l.StreamPorts, parsePorts)},
		{"answer_within", atLeast(&l.Profile.AnswerWithin, time.Second)},
		{"error_style", word(&l.Profile.ErrorStyle, status.StyleError, status.StyleClose, status.StyleLimits, status.StyleFound)},
		{"encrypted_prefix", text(&l.Profile.EncryptedPrefix)},
		{"max_line", count(&l.Profile.MaxLine, 64, 1023)},
		{"max_path_line", count(&l.Profile.MaxPathLine, 64, 1023)},
		{"actions", actions(&l.Actions)},
	}
}

// readListener reads a [[listener]]. What address and client say decides the
// defaults of the other keys, so these two are looked at first.
func (f *File) readListener(r *reader, path string, table map[string]any) {
	address, _ := table["address"].(string)
	l := NewListener(address)
	if client, ok := table["client"].(string); ok {
		if profile, ok := status.Lookup(client); ok {
			l.Profile = profile
		}
	}
	l.path = path
	r.table(path, table, l.keys(), nil)
	l.checkAddress(r, table)
	if err := l.Profile.Validate(); err != nil {
		r.failAll(path, err)
	}
	f.Listeners = append(f.Listeners, l)
}

func (l *Listener) checkAddress(r *reader, table map[string]any) {
	if _, ok := table["address"]; !ok {
		r.fail(l.path, "the listener has no address; want address = \"unix:/run/polyclam/clamd.sock\" or \"tcp:127.0.0.1:3310\"")
		return
	}
	if _, ok := table["address"].(string); !ok {
		return // reported
	}
	network, address, err := backends.ParseAddress(l.Address)
	if err != nil {
		r.fail(child(l.path, "address"), "%v", err)
		return
	}
	if network == "unix" {
		return
	}
	checkPort(r, child(l.path, "address"), l.Address, address, 0)
	for _, name := range []string{"mode", "group"} {
		if _, ok := table[name]; ok {
			r.fail(child(l.path, name), "a TCP listener has no %s; leave it out, or use a Unix socket", name)
		}
	}
}

// checkPort wants the port of a host:port to be a number of at least low.
func checkPort(r *reader, path, whole, hostPort string, low int) {
	_, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		return // ParseAddress has said it
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || int(n) < low {
		r.fail(path, "address %q: port %q is not a number between %d and 65535; clamd's port is 3310", whole, port, low)
	}
}

// parsePorts parses a range of ports, "1024-2048"; the empty one is any free port.
func parsePorts(s string) (dataport.Range, error) {
	if s == "" {
		return dataport.Range{}, nil
	}
	low, high, _ := strings.Cut(s, "-")
	first, firstErr := strconv.ParseUint(low, 10, 16)
	last, lastErr := strconv.ParseUint(high, 10, 16)
	if firstErr != nil || lastErr != nil || first == 0 || last < first {
		return dataport.Range{}, fmt.Errorf("%q is not a range of ports; want two numbers between 1 and 65535, the lower first, as in \"1024-2048\"", s)
	}
	return dataport.Range{First: uint16(first), Last: uint16(last)}, nil
}

// failAll reports each of the errors joined in err, at the key it speaks of.
func (r *reader) failAll(path string, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			r.failAll(path, one)
		}
		return
	}
	r.fail(r.blame(path, err), "%v", err)
}

// blame returns the path of the key that err speaks of: its words are followed
// from the table at path downwards, "actions: ok = ..." to path.actions.ok. An
// error that names no key of the file is the table's.
func (r *reader) blame(path string, err error) string {
	words := strings.FieldsFunc(err.Error(), func(c rune) bool {
		return !(c == '_' || c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z')
	})
	for i, w := range words {
		if _, ok := r.lines[child(path, w)]; ok {
			path = child(path, w)
			continue
		}
		if i+1 < len(words) { // "error style" is error_style
			if _, ok := r.lines[child(path, w+"_"+words[i+1])]; ok {
				path = child(path, w+"_"+words[i+1])
			}
		}
	}
	return path
}

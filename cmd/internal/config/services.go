package config

import (
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"polyclam/backends"
	"polyclam/cmd/internal/config/position"
	"polyclam/cmd/internal/sockaddr"
)

// The values of the key not_ready.
const (
	notReadyServe = "serve"
	notReadyClose = "close"
)

// A Service is what a listener serves.
type Service string

// The services. Only those of clamd are in [File.Listeners].
const (
	ServiceClamd Service = ""      // clamd's protocol
	ServiceHTTP  Service = "http"  // [http]
	ServiceAdmin Service = "admin" // [admin]
	ServiceAgent Service = "agent" // a [[listener]] with agent_check
)

// HTTP is the [http] table.
type HTTP struct {
	Address string      `toml:"address"` // empty: off
	Mode    fs.FileMode `toml:"mode"`    // of a Unix socket
	Group   Group       `toml:"group"`   // of a Unix socket
	ServerTLS
	TokenFile string `toml:"token_file"`
	Scans     bool   `toml:"scans"` // show the last scans
}

// Admin is the [admin] table.
type Admin struct {
	Address string      `toml:"address"` // a Unix socket; empty: off
	Mode    fs.FileMode `toml:"mode"`
	Group   Group       `toml:"group"`
}

const (
	httpPath  position.Path = "http"
	adminPath position.Path = "admin"
)

func defaultHTTP() HTTP   { return HTTP{Mode: 0o660, Group: NoGroup, Scans: true} }
func defaultAdmin() Admin { return Admin{Mode: 0o600, Group: NoGroup} }

// adminSocket is the address of [admin] in the runtime directory.
func adminSocket(runtime string) string { return "unix:" + filepath.Join(runtime, "admin.sock") }

// moveServices moves the listeners that do not serve clamd's protocol to f.Services, with
// those of [http] and [admin].
func (f *File) moveServices() {
	if f.HTTP.Address != "" {
		f.Services = append(f.Services, Listener{
			Service: ServiceHTTP, Address: f.HTTP.Address, Configured: f.HTTP.Address, Mode: f.HTTP.Mode, Group: f.HTTP.Group, path: httpPath,
		})
	}
	if f.Admin.Address != "" {
		f.Services = append(f.Services, Listener{
			Service: ServiceAdmin, Address: f.Admin.Address, Configured: f.Admin.Address, Mode: f.Admin.Mode, Group: f.Admin.Group, path: adminPath,
		})
	}
	var clamd []Listener
	for _, l := range f.Listeners {
		if l.AgentCheck {
			l.Service = ServiceAgent
			f.Services = append(f.Services, l)
			continue
		}
		clamd = append(clamd, l)
	}
	f.Listeners = clamd
}

// Has returns the listener with the address of a socket, of any service, or nil.
func (f *File) Has(address string) *Listener {
	for _, list := range [][]Listener{f.Listeners, f.Services} {
		if i := slices.IndexFunc(list, func(l Listener) bool { return l.Address == address }); i >= 0 {
			return &list[i]
		}
	}
	return nil
}

func validateServices(f *File, r *report) {
	validateHTTP(f, r)
	validateAdmin(f, r)
	for _, at := range []position.Path{httpPath, adminPath} {
		validateNoListener(f, r, at)
	}
	if f.HTTP.Address != "" && sockaddr.Conflict(f.HTTP.Address, f.Admin.Address) && !r.isBad(adminPath.Key("address")) {
		r.fail(adminPath.Key("address"), "%q is already the address of [http]; write another path", f.Admin.Address)
	}
}

// validateNoListener reports a table whose address certainly includes one of a listener.
func validateNoListener(f *File, r *report, at position.Path) {
	key, address := at.Key("address"), f.HTTP.Address
	if at == adminPath {
		address = f.Admin.Address
	}
	if !r.isGood(key) || address == "" {
		return
	}
	i := slices.IndexFunc(f.Listeners, func(l Listener) bool { return sockaddr.Conflict(l.Address, address) })
	if i >= 0 {
		r.fail(key, "%s", overlapText(address, f.Listeners[i].Address, r.lines.Line(listenerPath(i).Key("address"))))
	}
}

func validateHTTP(f *File, r *report) {
	h := &f.HTTP
	network := ""
	if key := httpPath.Key("address"); r.isGood(key) && h.Address != "" {
		network = validateAddress(r, key, h.Address, 0)
	}
	for _, name := range []string{"mode", "group"} {
		if network == "tcp" && r.has(httpPath.Key(name)) {
			r.fail(httpPath.Key(name), "a TCP listener has no %s; delete the key, or use a Unix socket", name)
		}
	}
	validatePath(r, httpPath.Key("token_file"), h.TokenFile)
	validateServerTLS(&h.ServerTLS, r, httpPath)
}

func validateAdmin(f *File, r *report) {
	key := adminPath.Key("address")
	if !r.isGood(key) || f.Admin.Address == "" {
		return
	}
	if network := validateAddress(r, key, f.Admin.Address, 0); network == "tcp" {
		r.fail(key, "%q: commands are accepted only on a Unix socket; write for example \"unix:/run/polyclam/admin.sock\"", f.Admin.Address)
	}
	if f.Admin.Mode&0o007 != 0 && !r.isBad(adminPath.Key("mode")) {
		r.fail(adminPath.Key("mode"), "\"%04o\" lets every user of this machine steer the daemon; write \"0600\", or \"0660\" and a group", f.Admin.Mode)
	}
}

// agentKeys are the keys that a listener with agent_check may have.
var agentKeys = []string{"address", "agent_check"}

// validateAgent checks a listener with agent_check, which speaks no protocol of clamd.
func validateAgent(l *Listener, r *report, at position.Path) {
	if !l.AgentCheck {
		return
	}
	if strings.HasPrefix(l.Address, "unix:") {
		r.fail(at.Key("agent_check"), "HAProxy asks an agent over TCP; write a TCP address, for example \"tcp:127.0.0.1:3311\"")
	}
	for _, key := range r.keys(at, l) {
		if !slices.Contains(agentKeys, key) && !r.isBad(at.Key(key)) {
			r.fail(at.Key(key), "a listener with agent_check only answers HAProxy's agent checks and scans nothing; delete the key")
		}
	}
}

func validateNotReady(l *Listener, r *report, at position.Path) {
	oneOf(r, at.Key("not_ready"), "value", l.NotReady, []string{notReadyServe, notReadyClose})
}

// warnServices warns of a status that others can read.
func warnServices(f *File, r *report) {
	h := &f.HTTP
	switch {
	case h.Address == "":
		for _, key := range r.keys(httpPath, h) {
			if key != "address" {
				r.warn(httpPath.Key(key), "there is no address, so the table has no effect; write address = \"tcp:127.0.0.1:9310\", or delete it")
				break
			}
		}
	case isLocal(h.Address):
	case h.TokenFile == "" && h.ClientCA == "":
		r.warn(httpPath.Key("address"), "anyone who can reach %s can read the state of the engines and which objects were found; write token_file, or tls and client_ca", h.Address)
	case h.TokenFile != "" && !h.TLS:
		r.warn(httpPath.Key("token_file"), "without TLS the token can be read on its way; write tls = true, or let a proxy on this machine terminate TLS")
	}
	if f.Admin.Address == "" {
		for _, key := range []string{"mode", "group"} {
			if at := adminPath.Key(key); r.has(at) {
				r.warn(at, "there is no address, so the table has no effect; write address = \"unix:/run/polyclam/admin.sock\", or delete it")
				break
			}
		}
	}
}

// isLocal reports whether only programs of this machine can connect to an address.
func isLocal(address string) bool {
	network, _, err := backends.ParseAddress(address)
	if err != nil || network == "unix" {
		return true
	}
	a, name, err := sockaddr.Parse(address)
	if err != nil {
		return false
	}
	if name.Host != "" {
		return strings.EqualFold(name.Host, "localhost")
	}
	return netip.Addr.IsLoopback(a.TCP().Addr())
}

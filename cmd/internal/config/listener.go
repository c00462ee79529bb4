package config

import (
	"io/fs"
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/cmd/internal/config/position"
	"polyclam/proxy"
	"polyclam/proxy/policy"
	"polyclam/proxy/status"
)

// Listener is a [[listener]] table.
type Listener struct {
	// Address is "unix:/path" or "tcp:host:port". ReplaceListeners makes it the address of
	// one socket; Configured stays as the file has it.
	Address    string `toml:"address"`
	Configured string
	Service    Service

	Mode  fs.FileMode `toml:"mode"`  // of a Unix socket
	Group Group       `toml:"group"` // of a Unix socket

	Client          string            `toml:"client"` // the name of a preset in package status
	Status          status.Form       `toml:"status"`
	AnswerWithin    time.Duration     `toml:"answer_within" range:"1s..24h"`
	ErrorStyle      status.ErrorStyle `toml:"error_style"`
	EncryptedPrefix string            `toml:"encrypted_prefix"`
	MaxLine         int               `toml:"max_line" range:"64..1023"`
	MaxPathLine     int               `toml:"max_path_line" range:"64..1023"`

	PathCommands    bool  `toml:"path_commands"`
	ShutdownCommand bool  `toml:"shutdown_command"`
	ReloadCommand   bool  `toml:"reload_command"`
	StreamCommand   bool  `toml:"stream_command"`
	StreamPorts     Ports `toml:"stream_ports"`

	// Engines are the names of the engines that scan; empty: all.
	Engines []string `toml:"engines"`
	// Precedence replaces that of [policy]; empty: it does not.
	Precedence []backends.Category `toml:"precedence"`
	// AgentCheck makes it answer HAProxy's agent checks, and nothing else.
	AgentCheck bool `toml:"agent_check"`
	// NotReady is what becomes of new connections while the server is not ready.
	NotReady string `toml:"not_ready"`

	// Who may use the listener, and how much. See [proxy.Listener].
	Allow          []Allowed          `toml:"allow"` // empty: everyone
	VersionCommand bool               `toml:"version_command"`
	StatsCommand   bool               `toml:"stats_command"`
	StatusCommand  proxy.StatusDetail `toml:"status_command"`
	ScansPerSecond float64            `toml:"scans_per_second" range:"0..1000000"` // of each client; 0: no limit
	Burst          int                `toml:"burst" range:"1..1000000"`            // 0, not in the file: see [Listener.rate]

	ServerTLS // of a listener on TCP
	// ProxyProtocol lists the load balancers whose connections begin with a PROXY header:
	// addresses, networks, and "unix".
	ProxyProtocol []string `toml:"proxy_protocol"`

	// Actions override those of [policy.actions] and of the client's preset.
	Actions Actions `toml:"actions"`

	path position.Path // of the table; empty: not in the file
}

// Actions maps categories to actions, as far as the file sets them.
type Actions map[backends.Category]policy.Action

const genericClient = "generic"

// NewListener returns a listener on address with the defaults for a generic client.
func NewListener(address string) Listener {
	l := Listener{
		Address:    address,
		Configured: address,
		Mode:       0o666, // clamd's LocalSocketMode
		Group:      NoGroup,
		// A client on the same host sees the same files and is trusted more. clamd
		// makes no such distinction.
		PathCommands:  strings.HasPrefix(address, "unix:"),
		ReloadCommand: strings.HasPrefix(address, "unix:"),
		NotReady:      notReadyServe,
		ServerTLS:     ServerTLS{ClientNames: []string{}},
		ProxyProtocol: []string{},

		VersionCommand: true,
		StatsCommand:   true,
		StatusCommand:  proxy.StatusBrief,
	}
	if strings.HasPrefix(address, "unix:") {
		l.StatusCommand = proxy.StatusFull
	}
	l.setClient(genericClient)
	return l
}

// setClient sets the keys that a client's preset provides. It ignores unknown clients.
func (l *Listener) setClient(client string) {
	if p, ok := status.Lookup(client); ok {
		l.Client, l.Status, l.AnswerWithin, l.ErrorStyle = client, p.Form, p.AnswerWithin, p.ErrorStyle
		l.EncryptedPrefix, l.MaxLine, l.MaxPathLine = p.EncryptedPrefix, p.MaxLine, p.MaxPathLine
	}
}

// Profile returns the client's preset, overridden by the listener's own keys.
func (l *Listener) Profile() status.Profile {
	p, _ := status.Lookup(l.Client)
	p.Client, p.Form, p.AnswerWithin, p.ErrorStyle = l.Client, l.Status, l.AnswerWithin, l.ErrorStyle
	p.EncryptedPrefix, p.MaxLine, p.MaxPathLine = l.EncryptedPrefix, l.MaxLine, l.MaxPathLine
	return p
}

// Prepare implements decode.Preparer: address and client decide the other defaults.
func (l *Listener) Prepare(table map[string]any) (more any, open bool) {
	address, _ := table["address"].(string)
	*l = NewListener(address)
	if client, ok := table["client"].(string); ok {
		l.setClient(client)
	}
	return nil, false
}

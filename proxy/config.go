package proxy

import (
	"time"

	"polyclam/protocol/dataport"
	"polyclam/proxy/engine"
	"polyclam/proxy/policy"
	"polyclam/proxy/status"
)

// Config is everything the server needs to know, complete and validated. It is
// not changed once in use: a reload makes a new one.
type Config struct {
	Listeners []Listener
	Engines   []*engine.Engine // in the order of the configuration
	Limits    Limits
	// ScanPaths are the roots below which path commands may read; empty: no
	// restriction.
	ScanPaths []string
	// HashObjects puts the SHA-256 of the content into the scan's log line.
	HashObjects bool
}

// Listener is what is particular to one listening address.
type Listener struct {
	Address         string // as in the configuration: "unix:/path" or "tcp:host:port"
	Profile         status.Profile
	Policy          *policy.Policy // with the profile's and the listener's own actions
	PathCommands    bool
	ShutdownCommand bool
	ReloadCommand   bool
	StreamCommand   bool           // answer STREAM, see package dataport
	StreamPorts     dataport.Range // where its clients have to connect
}

// Limits bound what clients may take.
type Limits struct {
	Stream             int64         // bytes of one stream, clamd's StreamMaxLength; 0: no limit
	CommandReadTimeout time.Duration // from accept to the first complete command
	ReadTimeout        time.Duration // between commands of a session and pieces of a stream
	WriteTimeout       time.Duration // for one reply, the whole of it
	StreamMinRate      int64         // bytes a second over each ReadTimeout spent on a stream; 0: no limit
	StreamMaxTime      time.Duration // for one stream, all pauses included; 0: no limit
	Connections        int           // served at the same time; more wait in the backlog
	Waiting            int           // beyond their client's share, and open
	ClientShare        int           // per cent for one client, see [client.Within]; 0: no share
	SessionScans       int           // scans in flight in one IDSESSION
	DirectoryDepth     int           // clamd's MaxDirectoryRecursion
	FileThreads        int           // for operations on clients' files; 0: files.DefaultThreads
}

// listener returns the configuration of an address, or nil.
func (c *Config) listener(address string) *Listener {
	for i := range c.Listeners {
		if c.Listeners[i].Address == address {
			return &c.Listeners[i]
		}
	}
	return nil
}

// Package redis keeps the values of package cache in Redis or Valkey: one server, the primary
// that Sentinels name, or a cluster.
//
// It uses few commands, so that its user needs few rights: GETRANGE, SET, APPEND and PEXPIRE,
// PING for idle connections, CLUSTER SLOTS or SHARDS of a cluster, ROLE with Sentinels.
// GETRANGE bounds what is read: a value may be of any size, because others may be able to
// write. Client-side caching is off: the cache in memory does the same without a connection.
package redis

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"polyclam/proxy/cache"
)

// Options are the keys of [cache] that concern the server.
type Options struct {
	// Addresses are those of the server, of the Sentinels, or of nodes of a cluster: for
	// "tcp" host:port, for "unix" an absolute path. There is at least one.
	Addresses []string
	// Name is what the log calls the server.
	Name string
	// Sentinel is the name of the primary that the Sentinels at Addresses know; empty: they
	// are no Sentinels. More than one address without it is a cluster. Whether one address is
	// a node of a cluster is found out.
	Sentinel                       string
	SentinelUser, SentinelPassword string
	User, Password                 string
	Database                       int
	Prefix                         string      // of all keys
	TLS                            *tls.Config // nil: none; the name to expect is by default that of the address
}

const (
	connectTimeout = 2 * time.Second
	// A connection on which nothing arrives is tested after keepAlive, and closed if the
	// server does not answer within silence.
	keepAlive = 2 * time.Second
	silence   = 5 * time.Second
	// topologyInterval is how often Sentinels are asked for the primary, besides their messages.
	topologyInterval = 5 * time.Second

	// What is written and read is small: large buffers would only take memory.
	bufferSize = 16 << 10
	ringScale  = 8 // 256 commands under way
)

// Store implements [cache.Store]. It connects when it is first used, and again whenever it
// has no connection.
type Store struct {
	options Options

	connecting sync.Mutex // held while connecting
	client     atomic.Pointer[rueidis.Client]
	closed     atomic.Bool
}

// Open returns a store. It does not connect.
func Open(o Options) *Store { return &Store{options: o} }

// Address implements [cache.Store].
func (s *Store) Address() string { return s.options.Name }

var (
	errConnecting = &cache.StoreError{Reason: "not connected yet"}
	errClosed     = &cache.StoreError{Reason: "closed"}
)

// connected returns the client. The first call connects; others do not wait for it.
func (s *Store) connected() (rueidis.Client, error) {
	if c := s.client.Load(); c != nil {
		return *c, nil
	}
	if !s.connecting.TryLock() {
		return nil, errConnecting
	}
	defer s.connecting.Unlock()
	if c := s.client.Load(); c != nil {
		return *c, nil
	}
	if s.closed.Load() {
		return nil, errClosed
	}
	c, err := rueidis.NewClient(s.options.client())
	if err != nil {
		if c != nil {
			c.Close()
		}
		return nil, s.describe(err)
	}
	s.client.Store(&c)
	if s.closed.Load() {
		c.Close()
	}
	return c, nil
}

func (o *Options) client() rueidis.ClientOption {
	return rueidis.ClientOption{
		InitAddress: o.Addresses, Username: o.User, Password: o.Password, SelectDB: o.Database, TLSConfig: o.TLS, DialCtxFn: dial,
		Sentinel: rueidis.SentinelOption{
			MasterSet: o.Sentinel, Username: o.SentinelUser, Password: o.SentinelPassword, TLSConfig: o.TLS,
			Dialer: net.Dialer{Timeout: connectTimeout, KeepAlive: keepAlive}, TopologyRefreshInterval: topologyInterval,
		},
		// A Unix socket is never that of a cluster, whose nodes refer to each other by
		// addresses, and a cluster has one database.
		ForceSingleClient: o.Sentinel == "" && len(o.Addresses) == 1 && (isPath(o.Addresses[0]) || o.Database != 0),
		Dialer:            net.Dialer{Timeout: connectTimeout, KeepAlive: keepAlive},
		ConnWriteTimeout:  silence,
		ShuffleInit:       o.Sentinel == "" && len(o.Addresses) > 1, // hosts begin with different nodes
		DisableRetry:      true,                                     // the cache decides
		DisableCache:      true,
		ClientSetInfo:     rueidis.DisableClientSetInfo,
		RingScaleEachConn: ringScale, ReadBufferEachConn: bufferSize, WriteBufferEachConn: bufferSize,
	}
}

func isPath(address string) bool { return strings.HasPrefix(address, "/") }

// dial connects to an address, which may be the path of a Unix socket.
func dial(ctx context.Context, address string, d *net.Dialer, conf *tls.Config) (net.Conn, error) {
	switch {
	case isPath(address):
		return d.DialContext(ctx, "unix", address)
	case conf != nil:
		return (&tls.Dialer{NetDialer: d, Config: conf}).DialContext(ctx, "tcp", address)
	}
	return d.DialContext(ctx, "tcp", address)
}

// wrongType is what Get returns for a key that has no string: it is too short to be genuine.
var wrongType = []byte{0}

// Get implements [cache.Store].
func (s *Store) Get(ctx context.Context, keys []string, limit int) ([][]byte, error) {
	c, err := s.connected()
	if err != nil {
		return nil, err
	}
	commands := make(rueidis.Commands, len(keys))
	for i, k := range keys {
		commands[i] = c.B().Getrange().Key(s.options.Prefix + k).Start(-int64(limit)).End(-1).Build()
	}
	values := make([][]byte, len(keys))
	var failed error
	for i, r := range c.DoMulti(ctx, commands...) {
		switch value, err := r.AsBytes(); {
		case err == nil && len(value) > 0:
			values[i] = value
		case err == nil || rueidis.IsRedisNil(err):
		case isWrongType(err):
			values[i] = wrongType
		case failed == nil:
			failed = s.describe(err)
		}
	}
	return values, failed
}

// Put implements [cache.Store].
func (s *Store) Put(ctx context.Context, values []cache.Value) (stored int, err error) {
	c, err := s.connected()
	if err != nil {
		return 0, err
	}
	commands := make(rueidis.Commands, len(values))
	for i, v := range values {
		commands[i] = c.B().Set().Key(s.options.Prefix + v.Key).Value(rueidis.BinaryString(v.Data)).PxMilliseconds(milliseconds(v.TTL)).Build()
	}
	for _, r := range c.DoMulti(ctx, commands...) {
		if one := r.Error(); one == nil {
			stored++
		} else if err == nil {
			err = s.describe(one)
		}
	}
	return stored, err
}

// Append implements [cache.Store].
func (s *Store) Append(ctx context.Context, key string, data []byte, ttl time.Duration) error {
	c, err := s.connected()
	if err != nil {
		return err
	}
	key = s.options.Prefix + key
	for _, r := range c.DoMulti(ctx,
		c.B().Append().Key(key).Value(rueidis.BinaryString(data)).Build(),
		c.B().Pexpire().Key(key).Milliseconds(milliseconds(ttl)).Build(),
	) {
		if err := r.Error(); err != nil {
			return s.describe(err)
		}
	}
	return nil
}

func milliseconds(d time.Duration) int64 { return max(d.Milliseconds(), 1) }

// Close implements [cache.Store].
func (s *Store) Close() {
	s.closed.Store(true)
	if c := s.client.Load(); c != nil {
		(*c).Close()
	}
}

package redis_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/proxy/cache"
	"polyclam/proxy/cache/redis"
	"polyclam/test/testkit"
)

// TestShare has two hosts: what one adds the other has.
func TestShare(t *testing.T) {
	s := startServer(t)
	one, two := s.host(redis.Options{}), s.host(redis.Options{})
	one.waitUp()
	two.waitUp()
	want := cache.Entry{
		Result:  backends.Result{Category: backends.Encrypted, Code: 7, Findings: []backends.Finding{{Name: "Heuristics.Encrypted.Zip", Category: backends.Encrypted}}, Detail: "a part"},
		Scanned: time.Now().Add(-time.Minute),
	}
	one.Add(key("zip"), want, time.Hour)
	testkit.Eventually(t, "the other host has it", func() bool {
		hits := two.Lookup(context.Background(), []cache.Key{key("none"), key("zip")})
		return hits[0] == nil && hits[1] != nil && hits[1].Scanned.Equal(want.Scanned) && fmt.Sprint(hits[1].Result) == fmt.Sprint(want.Result)
	})
	if ttl := s.do("PTTL", s.do("RANDOMKEY")); ttl == "-1" {
		t.Error("the key does not expire")
	}
	one.add("a", "b", "c")
	if !two.has("a") || !two.has("b") || !two.has("c") {
		t.Error("the other host misses one")
	}
	if err := one.Flush(context.Background(), true); err != nil {
		t.Fatal(err)
	}
	if one.has("a") {
		t.Error("an entry survives the flush")
	}
	testkit.Eventually(t, "the other host notices the flush", func() bool { return !two.has("a") })
	three := s.host(redis.Options{}) // a host that starts later knows of it too
	three.waitUp()
	if three.has("b") {
		t.Error("a new host uses an entry from before the flush")
	}
	one.add("a")
	testkit.Eventually(t, "the other host has what was added after it", func() bool { return two.has("a") && three.has("a") })
}

// TestFailuresOfHosts counts what concurrent hosts record.
func TestFailuresOfHosts(t *testing.T) {
	s := startServer(t)
	hosts := []*host{s.host(redis.Options{}), s.host(redis.Options{}), s.host(redis.Options{})}
	done := make(chan struct{})
	for _, h := range hosts {
		h.waitUp()
		go func() {
			for range 3 {
				h.AddFailure(context.Background(), key("x"), time.Hour)
			}
			done <- struct{}{}
		}()
	}
	for range hosts {
		<-done
	}
	if n := hosts[0].Failures(context.Background(), key("x")); n != 9 {
		t.Errorf("%d failures, want 9", n)
	}
	if n := hosts[0].Failures(context.Background(), key("y")); n != 0 {
		t.Errorf("another object has %d failures", n)
	}
	name := s.do("RANDOMKEY")
	if n := s.do("GETRANGE", name, "0", "55"); len(n) != 56 {
		t.Fatalf("a record has %d bytes", len(n))
	} else {
		s.do("SET", name, strings.Repeat(n, 100))
	}
	if n := hosts[1].Failures(context.Background(), key("x")); n != 1 {
		t.Errorf("copies of one record are %d failures", n)
	}
	s.do("SET", name, strings.Repeat("x", 56*5))
	if n := hosts[1].Failures(context.Background(), key("x")); n != 0 || hosts[1].Stats().Shared.Forged == 0 {
		t.Errorf("garbage is %d failures", n)
	}
	hosts[1].AddFailure(context.Background(), key("x"), time.Hour)
	if n := hosts[2].Failures(context.Background(), key("x")); n != 1 {
		t.Errorf("%d failures after garbage, want 1", n)
	}
}

// TestTrouble is about a server that does not do what it should: no wrong hit, the reason in
// the log, and hits again afterwards.
func TestTrouble(t *testing.T) {
	for _, tt := range []struct {
		name   string
		args   []string
		broken func(s *server)
		repair func(s *server)
		lost   bool // what was there before
		log    string
		writes bool // only writes fail
	}{
		{name: "FLUSHALL", broken: func(s *server) { s.do("FLUSHALL") }, lost: true},
		{name: "killed", broken: (*server).kill, repair: (*server).start, lost: true, log: "is not used until it answers"},
		{name: "password", broken: func(s *server) {
			s.do("ACL", "SETUSER", "default", ">secret")
			s.do("CLIENT", "KILL", "TYPE", "normal")
		}, repair: func(s *server) { s.do("ACL", "SETUSER", "default", "nopass") }, log: "the server wants a password"},
		{name: "no rights", broken: func(s *server) { s.do("ACL", "SETUSER", "default", "-getrange") },
			repair: func(s *server) { s.do("ACL", "SETUSER", "default", "+getrange") }, log: "the user may not do this"},
		{name: "full", broken: func(s *server) { s.do("CONFIG", "SET", "maxmemory", "1") },
			repair: func(s *server) { s.do("CONFIG", "SET", "maxmemory", "0") }, log: "the server has no memory left", writes: true},
		{name: "replica", broken: func(s *server) {
			s.do("CONFIG", "SET", "replica-serve-stale-data", "yes")
			s.do("REPLICAOF", "127.0.0.1", "1")
		},
			repair: func(s *server) { s.do("REPLICAOF", "NO", "ONE") }, log: "the server is a replica and accepts no writes", writes: true},
		{name: "lost primary", broken: func(s *server) {
			s.do("CONFIG", "SET", "replica-serve-stale-data", "no")
			s.do("REPLICAOF", "127.0.0.1", "1")
		},
			repair: func(s *server) { s.do("REPLICAOF", "NO", "ONE") }, log: "a replica that has lost its primary"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := startServer(t, append([]string{"--maxmemory-policy", "noeviction"}, tt.args...)...)
			h := s.host(redis.Options{})
			h.waitUp()
			h.add("before")
			s.do("PING")
			tt.broken(s)
			for i := range 20 {
				h.Add(key(fmt.Sprint("during", i)), result(fmt.Sprint("during", i)), time.Hour)
				if got := h.has("before"); got && !tt.writes || !got && tt.writes {
					t.Errorf("hit: %v", got)
				}
			}
			if tt.log != "" {
				h.logged(tt.log)
			}
			if strings.Contains(h.log.String(), "context") || strings.Contains(h.log.String(), "rueidis") {
				t.Error("Go's words in the log")
			}
			t.Logf("%s%+v", h.log.String(), *h.Stats().Shared)
			if tt.repair != nil {
				tt.repair(s)
			}
			h.waitUp()
			if !tt.lost && !h.has("before") {
				t.Error("what was there is lost")
			}
			h.add("after")
		})
	}
}

// TestForeignValues has another program write where results are.
func TestForeignValues(t *testing.T) {
	s := startServer(t)
	name := s.name("a")
	genuine := s.do("GET", name)
	h := s.host(redis.Options{})
	h.waitUp()
	h.add("b")
	other := ""
	for _, k := range []string{s.do("RANDOMKEY"), s.do("RANDOMKEY"), s.do("RANDOMKEY"), s.do("RANDOMKEY"), s.do("RANDOMKEY"), s.do("RANDOMKEY")} {
		if k != name {
			other = s.do("GET", k)
		}
	}
	flipped := []byte(genuine)
	flipped[len(flipped)/2] ^= 1
	for _, tt := range []struct {
		name string
		set  []string
	}{
		{"nothing", nil},
		{"empty", []string{"SET", name, ""}},
		{"garbage", []string{"SET", name, "OK"}},
		{"truncated", []string{"SET", name, genuine[:len(genuine)-1]}},
		{"head only", []string{"SET", name, genuine[:30]}},
		{"one bit", []string{"SET", name, string(flipped)}},
		{"of another object", []string{"SET", name, other}},
		{"longer", []string{"SET", name, genuine + "\x00"}},
		{"repeated", []string{"SET", name, genuine + genuine}},
		{"preceded", []string{"SET", name, "\x00" + genuine}},
		{"list", []string{"LPUSH", name, genuine}},
		{"hash", []string{"HSET", name, "a", genuine}},
		{"stream", []string{"XADD", name, "*", "a", genuine}},
		{"as large as possible", []string{"SETRANGE", name, "536870911", "x"}},
	} {
		s.do("DEL", name)
		if tt.set != nil {
			s.do(tt.set...)
		}
		before := h.Stats().Shared
		var m1, m2 runtime.MemStats
		runtime.ReadMemStats(&m1)
		if h.has("a") {
			t.Errorf("%s: a hit", tt.name)
		}
		runtime.ReadMemStats(&m2)
		after := h.Stats().Shared
		want := uint64(1)
		if tt.set == nil || tt.name == "empty" {
			want = 0
		}
		if got := after.Forged - before.Forged; got != want || after.Misses-before.Misses != 1 || after.Failed != 0 {
			t.Errorf("%s: %d rejected, want %d; %+v", tt.name, got, want, after)
		}
		grown := m2.TotalAlloc - m1.TotalAlloc
		if t.Logf("%s: %d bytes allocated", tt.name, grown); grown > 1<<20 {
			t.Errorf("%s: %d bytes allocated", tt.name, grown)
		}
		if !h.has("b") {
			t.Errorf("%s: another object is no hit", tt.name)
		}
	}
	s.do("DEL", name)
	s.do("SET", name, genuine)
	if !h.has("a") {
		t.Error("the genuine value is no hit")
	}
	h.logged("values that are not genuine")
}

// TestStopped stops the server under load: a few lookups wait for the budget, then none.
func TestStopped(t *testing.T) {
	s := startServer(t)
	const budget = 20 * time.Millisecond
	h := newHost(t, redis.Options{Addresses: []string{s.socket}}, budget)
	h.waitUp()
	h.add("a")
	s.do("PING")
	s.signal(syscall.SIGSTOP)
	const clients = 16
	done := make(chan [2]time.Duration)
	stopped := time.Now()
	for range clients {
		go func() {
			var longest, sum time.Duration
			for range 200 {
				begin := time.Now()
				h.has("a")
				took := time.Since(begin)
				longest, sum = max(longest, took), sum+took
			}
			done <- [2]time.Duration{longest, sum}
		}()
	}
	for range clients {
		d := <-done
		t.Logf("longest lookup %v, 200 lookups %v", d[0], d[1])
	}
	// Too few may have been late to open the breaker.
	testkit.Eventually(t, "down", func() bool { h.has("a"); return h.Stats().Shared.State == "down" })
	st := h.Stats().Shared
	t.Logf("3200 lookups and more while it is stopped: %d late, %d skipped (%v)", st.Late, st.Skipped, time.Since(stopped))
	if st.Late > 5 || st.State != "down" || st.Late+st.Skipped+st.Hits < 3200 {
		t.Errorf("stats %+v", st)
	}
	h.logged("no answer within 20ms")
	s.signal(syscall.SIGCONT)
	resumed := time.Now()
	testkit.Eventually(t, "hits again", func() bool { return h.has("a") })
	t.Logf("hits again %v after SIGCONT", time.Since(resumed))
}

// TestDownAtStart does not wait for the server.
func TestDownAtStart(t *testing.T) {
	s := startServer(t)
	s.kill()
	h := s.host(redis.Options{})
	h.logged("is not used until it answers")
	if h.has("a") {
		t.Error("a hit without a server")
	}
	s.start()
	h.waitUp()
	h.add("a")
}

// TestUser has a user who may do no more than the documentation says.
func TestUser(t *testing.T) {
	s := startServer(t)
	s.do("ACL", "SETUSER", "polyclam", "on", ">secret", "~polyclam:*", "+getrange", "+set", "+append", "+pexpire")
	h := s.host(redis.Options{User: "polyclam", Password: "secret"})
	h.waitUp()
	h.add("a")
	h.AddFailure(context.Background(), key("x"), time.Hour)
	if n := h.Failures(context.Background(), key("x")); n != 1 {
		t.Errorf("%d failures", n)
	}
	if err := h.Flush(context.Background(), true); err != nil || h.has("a") {
		t.Errorf("flush: %v", err)
	}
	for _, o := range []redis.Options{{User: "polyclam", Password: "wrong"}, {User: "unknown", Password: "secret"}} {
		h := s.host(o)
		h.logged("the server does not accept the user or the password")
		if h.has("a") {
			t.Error("a hit without the right password")
		}
	}
}

func TestTLS(t *testing.T) {
	authority, foreign := testkit.NewAuthority(t), testkit.NewAuthority(t)
	files := authority.Issue("127.0.0.1", "redis.example")
	s := startNode(t)
	port := testPort(t)
	s.do("CONFIG", "SET", "tls-cert-file", files.Certificate, "tls-key-file", files.Key, "tls-ca-cert-file", authority.File, "tls-port", port)
	pool := func(file string) *x509.CertPool {
		pem, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p := x509.NewCertPool()
		p.AppendCertsFromPEM(pem)
		return p
	}
	pair, err := tls.LoadX509KeyPair(files.Certificate, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	good := &tls.Config{RootCAs: pool(authority.File), Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	h := newHost(t, redis.Options{Addresses: []string{"127.0.0.1:" + port}, TLS: good}, wide)
	h.waitUp()
	h.add("a")
	for _, tt := range []struct {
		name, log string
		o         redis.Options
	}{
		{"foreign authority", "is signed by an unknown authority", redis.Options{Addresses: []string{"127.0.0.1:" + port}, TLS: &tls.Config{RootCAs: pool(foreign.File), Certificates: good.Certificates}}},
		{"wrong name", "is valid for redis.example, not other.example", redis.Options{Addresses: []string{"127.0.0.1:" + port}, TLS: &tls.Config{RootCAs: good.RootCAs, Certificates: good.Certificates, ServerName: "other.example"}}},
		{"no certificate", "certificate and key in [cache]", redis.Options{Addresses: []string{"127.0.0.1:" + port}, TLS: &tls.Config{RootCAs: good.RootCAs}}},
		{"TLS where there is none", "whether this port is one for TLS", redis.Options{Addresses: []string{s.address}, TLS: good}},
		{"none where there is TLS", "maybe only one side uses TLS", redis.Options{Addresses: []string{"127.0.0.1:" + port}}},
	} {
		h := newHost(t, tt.o, wide)
		h.logged("is not used until it answers")
		if t.Logf("%s: %s", tt.name, h.log.String()); !strings.Contains(h.log.String(), tt.log) {
			t.Errorf("%s: the log misses %q", tt.name, tt.log)
		}
		if h.has("a") {
			t.Errorf("%s: a hit", tt.name)
		}
	}
}

// BenchmarkHit looks up one result, with its signature, and reports the median.
func BenchmarkHit(b *testing.B) {
	s := startServer(b)
	h := s.host(redis.Options{})
	h.waitUp()
	h.add("a")
	var times []time.Duration
	for b.Loop() {
		begin := time.Now()
		if !h.has("a") {
			b.Fatal("no hit")
		}
		times = append(times, time.Since(begin))
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds()), "us-p50")
}

package redis_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"polyclam/proxy/cache/redis"
	"polyclam/test/clamdtest"
	"polyclam/test/testkit"
)

func testPort(t testing.TB) string { return clamdtest.Port(t) }

// TestSentinel kills the primary that three Sentinels watch.
func TestSentinel(t *testing.T) {
	primary := startNode(t)
	host, port, _ := net.SplitHostPort(primary.address)
	replica := startNode(t, "--replicaof", host+" "+port)
	testkit.Eventually(t, "the replica follows", func() bool {
		text, err := replica.try("INFO", "replication")
		return err == nil && contains(text, "master_link_status:up")
	})
	var sentinels []string
	for range 3 {
		file := filepath.Join(t.TempDir(), "sentinel.conf")
		text := fmt.Sprintf("sentinel monitor mail %s %s 2\nsentinel down-after-milliseconds mail 500\nsentinel failover-timeout mail 3000\n", host, port)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		sentinels = append(sentinels, startSentinel(t, file).address)
	}
	one := newHost(t, redis.Options{Addresses: sentinels, Sentinel: "mail"}, wide)
	two := newHost(t, redis.Options{Addresses: sentinels, Sentinel: "mail"}, wide)
	one.waitUp()
	two.waitUp()
	one.add("a")
	if !two.has("a") {
		t.Error("the other host has no hit")
	}
	testkit.Eventually(t, "the replica has the value", func() bool { n, _ := replica.try("RANDOMKEY"); return n != "" })
	primary.kill()
	killed := time.Now()
	for !two.has("a") { // has checks that no hit is wrong
		if time.Since(killed) > time.Minute {
			t.Fatal("no hits a minute after the failover")
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Logf("hits again %v after the primary was killed", time.Since(killed))
	one.waitUp()
	one.add("b")
	other := newHost(t, redis.Options{Addresses: sentinels, Sentinel: "unknown"}, wide)
	other.logged("sentinel monitor NAME")
}

func startSentinel(t *testing.T, file string) *server {
	t.Helper()
	s := &server{t: t, program: clamdtest.RequireProgram(t, "redis-server"), socket: filepath.Join(testkit.SocketDir(t), "s")}
	port := clamdtest.Port(t)
	s.args = []string{file, "--sentinel", "--port", port, "--bind", "127.0.0.1", "--unixsocket", s.socket, "--dir", t.TempDir()}
	s.address = net.JoinHostPort("127.0.0.1", port)
	s.start()
	t.Cleanup(s.kill)
	return s
}

// TestCluster kills a primary of a cluster of six nodes, then moves slots.
func TestCluster(t *testing.T) {
	cli := clamdtest.RequireProgram(t, "redis-cli")
	var nodes []*server
	var addresses []string
	for range 6 {
		n := startNode(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port", clamdtest.Port(t))
		nodes, addresses = append(nodes, n), append(addresses, n.address)
	}
	out, err := exec.Command(cli, append(append([]string{"--cluster", "create"}, addresses...), "--cluster-replicas", "1", "--cluster-yes")...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	testkit.Eventually(t, "the cluster is complete", func() bool {
		for _, n := range nodes {
			if text, err := n.try("CLUSTER", "INFO"); err != nil || !contains(text, "cluster_state:ok") {
				return false
			}
		}
		return true
	})
	testkit.Eventually(t, "the replicas follow", func() bool {
		for _, n := range nodes {
			if text, err := n.try("INFO", "replication"); err != nil || contains(text, "role:slave") && !contains(text, "master_link_status:up") {
				return false
			}
		}
		return true
	})
	// One host knows three nodes, the other finds the rest through one.
	one, two := newHost(t, redis.Options{Addresses: addresses[:3]}, wide), newHost(t, redis.Options{Addresses: addresses[5:]}, wide)
	one.waitUp()
	two.waitUp()
	var names []string
	for i := range 30 {
		names = append(names, fmt.Sprint("object ", i))
	}
	one.add(names...)
	all := func(h *host) bool {
		for _, n := range names {
			if !h.has(n) {
				return false
			}
		}
		return true
	}
	if !all(two) {
		t.Error("the other host misses some")
	}
	testkit.Eventually(t, "the replicas have everything", func() bool {
		return !slices.ContainsFunc(nodes[:3], func(n *server) bool { return !replicated(n) })
	})
	nodes[0].kill()
	killed := time.Now()
	testkit.Eventually(t, "the cluster has noticed", func() bool {
		text, err := nodes[1].try("CLUSTER", "INFO")
		return err == nil && contains(text, "cluster_state:ok") && contains(text, "cluster_slots_fail:0") && contains(text, "cluster_current_epoch:7") && all(one) && all(two)
	})
	t.Logf("all hits again %v after a primary was killed", time.Since(killed))
	one.add("after")
	// Single servers are no cluster.
	s, r := startNode(t), startNode(t)
	h := newHost(t, redis.Options{Addresses: []string{s.address, r.address}}, wide)
	h.logged("the servers are no cluster")
}

func contains(text, part string) bool { return strings.Contains(text, part) }

// replicated reports whether the replica of a primary has everything that the primary has.
// WAIT would wait only for what its own connection has written.
func replicated(primary *server) bool {
	text, err := primary.try("INFO", "replication")
	_, rest, _ := strings.Cut(text, "master_repl_offset:")
	offset, _, found := strings.Cut(rest, "\r\n")
	return err == nil && found && contains(text, ",offset="+offset+",")
}

package balancer

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"polyclam/test/child"
	"polyclam/test/clamdtest"
	"polyclam/test/testkit"
)

// startRedis starts a redis-server, and returns its socket, and a file with the key that
// signs results.
func startRedis(t *testing.T) (socket, key string) {
	t.Helper()
	program := clamdtest.RequireProgram(t, "redis-server")
	dir := testkit.SocketDir(t)
	socket, key = filepath.Join(dir, "redis"), filepath.Join(dir, "key")
	p, err := child.StartLogged(exec.Command(program, "--port", "0", "--unixsocket", socket, "--unixsocketperm", "777", "--save", "", "--dir", dir), filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	testkit.Eventually(t, "redis-server answers", func() bool { return results(socket) >= 0 })
	if err := os.WriteFile(key, []byte(strings.Repeat("0123456789abcdef", 4)), 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 { // root starts daemons as the user nobody
		nobody, err := user.Lookup("nobody")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(nobody.Uid)
		if err := os.Chown(key, uid, 0); err != nil {
			t.Fatal(err)
		}
	}
	return socket, key
}

// results is how many keys Redis has; -1: it does not answer.
func results(socket string) int {
	nc, err := net.Dial("unix", socket)
	if err != nil {
		return -1
	}
	defer nc.Close()
	io.WriteString(nc, "DBSIZE\r\n")
	b := make([]byte, 64)
	n, _ := nc.Read(b)
	if size, err := strconv.Atoi(strings.Trim(string(b[:n]), ":\r\n")); err == nil {
		return size
	}
	return -1
}

// TestRollingRestartShared is TestRollingRestart for daemons that share results.
func TestRollingRestartShared(t *testing.T) {
	t.Parallel()
	socket, key := startRedis(t)
	p := startPair(t, "", ways[0].haproxy, fmt.Sprintf("cache_ttl = \"1h\"\n[cache]\nredis = \"unix:%s\"\nkey_file = \"%s\"\n", socket, key))
	p.restartAll(t, "rolling restart with a shared cache", scansOf(1000))
	if n := results(socket); n <= 0 {
		t.Errorf("Redis has %d results", n)
	} else {
		t.Logf("measured: Redis has %d results", n)
	}
}

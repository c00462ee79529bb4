package hosts

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"polyclam/test/child"
	"polyclam/test/clamdtest"
	"polyclam/test/testkit"
)

func TestMain(m *testing.M) { os.Exit(clamdtest.Main(m)) }

// objectsEnv is the number of objects of TestShared, to show more than the test needs.
const objectsEnv = "POLYCLAM_HOSTS_OBJECTS"

// hang is how long anything may take before a test gives up.
const hang = 60 * time.Second

// store is a redis-server.
type store struct {
	socket string
	key    string // the file with the key that signs results
	*child.Process
}

func startStore(t *testing.T) *store {
	t.Helper()
	program := clamdtest.RequireProgram(t, "redis-server")
	dir := testkit.SocketDir(t)
	s := &store{socket: filepath.Join(dir, "redis"), key: filepath.Join(dir, "key")}
	log := filepath.Join(dir, "log")
	p, err := child.StartLogged(exec.Command(program, "--port", "0", "--unixsocket", s.socket, "--unixsocketperm", "777", "--save", "", "--dir", dir), log)
	if err != nil {
		t.Fatal(err)
	}
	s.Process = p
	t.Cleanup(func() {
		p.Signal(syscall.SIGCONT)
		p.Kill()
		if t.Failed() {
			t.Logf("redis-server:\n%s", child.Tail(log, 5000))
		}
	})
	testkit.Eventually(t, "redis-server answers", func() bool {
		nc, err := net.Dial("unix", s.socket)
		if err == nil {
			nc.Close()
		}
		return err == nil
	})
	if err := os.WriteFile(s.key, []byte(strings.Repeat("0123456789abcdef", 4)), 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 { // root starts daemons as the user nobody
		nobody, err := user.Lookup("nobody")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(nobody.Uid)
		if err := os.Chown(s.key, uid, 0); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// do runs a command of Redis with answers in one line.
func (s *store) do(t *testing.T, command string) string {
	t.Helper()
	nc, err := net.Dial("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(hang))
	io.WriteString(nc, command+"\r\n")
	b := make([]byte, 1024)
	n, _ := nc.Read(b)
	return strings.TrimSpace(string(b[:n]))
}

// host is one polyclamd.
type host struct {
	*clamdtest.Polyclam
	t *testing.T
}

const hostConfig = `
[admin]
address = "unix:${DIR}/admin"
[[listener]]
address = "unix:${DIR}/p.sock"
mode = "0666"
reload_command = true
%[1]s
[cache]
redis = "unix:%[2]s"
key_file = "%[3]s"
budget = "%[4]s"
memory = "%[5]s"
[spool]
directory = "${DIR}/tmp"
[[engine]]
name = "clamav"
backend = "clamd"
size_check = false
cache_ttl = "1h"
%[6]s
`

// options are what hosts of a test have besides.
type options struct {
	clamd  string // address
	engine string // more keys of the engine
	more   string // more listeners
	budget string // "1s" if empty: the machine may be slow
	memory string // "8MiB" if empty
}

// startHost starts a host, and waits until it uses its engine and the store.
func (s *store) startHost(t *testing.T, o options) *host {
	t.Helper()
	if o.budget == "" {
		o.budget = "1s"
	}
	if o.memory == "" {
		o.memory = "8MiB"
	}
	engine := fmt.Sprintf("address = %q\n%s", o.clamd, o.engine)
	p := clamdtest.StartPolyclam(t, fmt.Sprintf(hostConfig, o.more, s.socket, s.key, o.budget, o.memory, engine), clamdtest.Options{})
	h := &host{p, t}
	testkit.Eventually(t, "the host uses clamd and Redis", func() bool {
		return strings.Contains(h.status(), " state=up") && h.cache().Shared.State == "up"
	})
	return h
}

// ask sends bytes and returns the reply.
func (h *host) ask(request string) string {
	h.t.Helper()
	return converse(h.t, h.Socket, request)
}

func converse(t *testing.T, socket, request string) string {
	t.Helper()
	reply, err := try(socket, request)
	if err != nil {
		t.Error(err)
	}
	return reply
}

func try(socket, request string) (string, error) {
	nc, err := net.DialTimeout("unix", socket, hang)
	if err != nil {
		return "", err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(hang))
	if _, err := io.WriteString(nc, request); err != nil {
		return "", err
	}
	b, err := io.ReadAll(nc)
	return string(b), err
}

func stream(verb, object string) string {
	n := len(object)
	return "z" + verb + "\x00" + string([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + object + "\x00\x00\x00\x00"
}

// scan returns the reply to an INSTREAM.
func (h *host) scan(object string) string {
	h.t.Helper()
	return h.ask(stream("INSTREAM", object))
}

// record scans an object. It returns what the record of clamd says about it, and whether the
// result came from a cache: then no node has answered.
func (h *host) record(object string) (result string, cached bool) {
	h.t.Helper()
	reply := h.ask(stream("XINSTREAM", object))
	for line := range strings.SplitSeq(reply, "\x00") {
		if !strings.HasSuffix(line, " ENGINE") {
			continue
		}
		cached = true
		var fields []string
		for field := range strings.FieldsSeq(line) {
			switch name, _, _ := strings.Cut(field, "="); name {
			case "node":
				cached = false
			case "elapsed":
			default:
				fields = append(fields, field)
			}
		}
		result = strings.Join(fields, " ")
	}
	if strings.Contains(reply, "ERROR") {
		cached = false // there was no result
	}
	return result, cached
}

// status is the NODE record of clamd.
func (h *host) status() string {
	h.t.Helper()
	for line := range strings.SplitSeq(h.ask("zXSTATUS\x00"), "\x00") {
		if strings.HasSuffix(line, " NODE") {
			return line
		}
	}
	return ""
}

// scans is how many objects clamd has got from the host.
func (h *host) scans() int {
	h.t.Helper()
	_, rest, _ := strings.Cut(h.status(), " scans=")
	n, _, _ := strings.Cut(rest, " ")
	scans, err := strconv.Atoi(n)
	if err != nil {
		h.t.Error(err)
	}
	return scans
}

// counters are what a host says about its cache.
type counters struct {
	Shared struct {
		State                                                         string
		Hits, Misses, Added, Late, Failed, Skipped, Rejected, Dropped int
	}
	Pending struct{ Waiting, Confirmed, Dropped int }
	Engines []engineCounters
}

type engineCounters struct{ Memory, Shared, Joined, Misses int }

func (h *host) cache() (c counters) {
	h.t.Helper()
	body := h.get("unix", filepath.Join(h.Dir, "admin"), "/cache")
	if err := json.Unmarshal([]byte(body), &c); err != nil || len(c.Engines) != 1 {
		h.t.Fatalf("/cache: %v %s", err, body)
	}
	return c
}

// get is an HTTP request. It returns the body, with the status before it if that is not 200.
func (h *host) get(network, address, path string) string {
	h.t.Helper()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	transport := &http.Transport{DialContext: dial, DisableKeepAlives: true}
	r, err := (&http.Client{Transport: transport, Timeout: hang}).Get("http://host" + path)
	if err != nil {
		h.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	if r.StatusCode != http.StatusOK {
		return r.Status + " " + string(b)
	}
	return string(b)
}

// keep scans the objects on h until the store has the results of all. Results are only kept
// once health checks have confirmed them.
func (h *host) keep(objects ...string) {
	h.t.Helper()
	left := objects
	testkit.Eventually(h.t, "all results are kept", func() bool {
		var missing []string
		for _, o := range left {
			if _, cached := h.record(o); !cached {
				missing = append(missing, o)
			}
		}
		if left = missing; len(left) > 0 {
			testkit.Eventually(h.t, "what waits is confirmed or dropped", func() bool { return h.cache().Pending.Waiting == 0 })
		}
		return len(left) == 0
	})
	testkit.Eventually(h.t, "the store has all", func() bool {
		c := h.cache()
		return c.Shared.Added >= c.Pending.Confirmed
	})
}

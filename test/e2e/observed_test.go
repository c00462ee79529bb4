package e2e

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"polyclam/test/clamdtest"
	"polyclam/test/testkit"
)

const (
	observedClients = 8
	// observedScans is how many scans each client makes in one part of the test.
	observedScans = 25
	// objectMark begins every object of the clients. The objects of health checks have none.
	objectMark = "object of a client "
)

// paranoid is an engine that says virus to every object of a client. It passes health checks.
type paranoid struct {
	address string
	hang    atomic.Bool  // it never answers
	plain   atomic.Int64 // objects of clients without EICAR that it answered
	eicar   atomic.Int64 // and with it
	end     chan struct{}
}

func startParanoid(t *testing.T) *paranoid {
	e := &paranoid{end: make(chan struct{})}
	e.address = testkit.Serve(t, "tcp", e.serve)
	t.Cleanup(func() { close(e.end) })
	return e
}

func (e *paranoid) serve(nc net.Conn) {
	r := bufio.NewReader(nc)
	switch command, _ := r.ReadString(0); command {
	case "zPING\x00":
		io.WriteString(nc, "PONG\x00")
	case "zVERSION\x00":
		io.WriteString(nc, "ClamAV 1.4.6/27000/"+time.Now().Format(time.ANSIC)+"\x00")
	case "zINSTREAM\x00":
		io.WriteString(nc, e.answer(r))
	default:
		io.WriteString(nc, "UNKNOWN COMMAND\x00")
	}
}

func (e *paranoid) answer(r io.Reader) string {
	var object []byte
	for {
		var n uint32
		if binary.Read(r, binary.BigEndian, &n) != nil {
			return ""
		}
		if n == 0 {
			break
		}
		part := make([]byte, min(n, 1<<20))
		if _, err := io.ReadFull(r, part); err != nil {
			return ""
		}
		object = append(object, part...)
	}
	isClients, isEICAR := strings.HasPrefix(string(object), objectMark), strings.Contains(string(object), clamdtest.EICAR())
	if isClients && e.hang.Load() {
		<-e.end
		return ""
	}
	switch {
	case isClients && isEICAR:
		e.eicar.Add(1)
	case isClients:
		e.plain.Add(1)
		return "stream: Paranoid FOUND\x00"
	case !isEICAR:
		return "stream: OK\x00"
	}
	return "stream: Eicar FOUND\x00"
}

// observed is the state of TestObservedUnderLoad.
type observed struct {
	t       *testing.T
	p       *clamdtest.Polyclam
	tool    string
	objects []string // every second one has EICAR
	alone   []string // what clamd answers to them
}

// scanned is one scan of a client.
type scanned struct {
	object     int
	begin, end time.Time
	reply      string
}

// TestObservedUnderLoad introduces an engine that calls everything a virus: it is observed,
// switched on and off, and hangs, while clients scan. Then one of the nodes of clamd is
// drained. The clients' replies are those of clamd alone whenever the engine is not on.
func TestObservedUnderLoad(t *testing.T) {
	one, two := clamdtest.Start(t, clamdtest.Options{}), clamdtest.Start(t, clamdtest.Options{})
	second := startParanoid(t)
	toml := fmt.Sprintf(`
[[listener]]
address = "unix:${DIR}/p.sock"
[admin]
address = "unix:${DIR}/admin.sock"
[[engine]]
name = "clamav"
backend = "clamd"
addresses = ["unix:%s", "unix:%s"]
size_check = false
[spool]
directory = "${DIR}/tmp"
[log]
format = "json"
`, one.Socket, two.Socket)
	o := &observed{t: t, tool: buildTool(t), p: clamdtest.StartPolyclam(t, toml, clamdtest.Options{HideLog: true})}
	o.furnish(one.Socket)
	o.waitFor("two nodes that are up", "state=up", 2)
	o.same("without the second engine", o.load(nil))

	conf := strings.NewReplacer("${DIR}", o.p.Dir).Replace(toml) + fmt.Sprintf(`
[[engine]]
name = "second"
backend = "clamd"
address = %q
sessions = false
transport = "stream"
size_check = false
max_scans = 64
mode = "observe"
`, second.address)
	write(t, o.p.Conf, conf, 0o644)
	o.same("during the reload", o.load(func() { o.run("reload") }))
	o.waitFor("three nodes that are up", "state=up", 3)
	o.observe(second)

	for _, mode := range []string{"on", "observe", "on", "off"} {
		o.change(mode)
	}
	o.run("engine", "observe", "second")
	second.hang.Store(true)
	o.same("observed, and hangs", o.load(nil))
	o.run("engine", "off", "second")
	o.drain(two.Socket)
}

// furnish makes the objects, and asks clamd alone for each.
func (o *observed) furnish(clamd string) {
	o.t.Helper()
	for i, kib := range []int{1, 2, 5, 10, 20, 35, 50, 70, 85, 99} {
		for _, end := range []string{"", clamdtest.EICAR()} {
			object := fmt.Sprintf("%s%d\n", objectMark, i)
			object += strings.Repeat("nothing to find here\n", kib<<10/21) + end
			reply, err := ask("unix", clamd, instream(object))
			if err != nil || strings.HasSuffix(reply, " FOUND\x00") != (end != "") {
				o.t.Fatalf("clamd: %q, %v", reply, err)
			}
			o.objects, o.alone = append(o.objects, object), append(o.alone, reply)
		}
	}
}

// load has the clients scan, and calls during in the middle, if it is not nil.
func (o *observed) load(during func()) []scanned {
	o.t.Helper()
	var mu sync.Mutex
	var all []scanned
	var clients sync.WaitGroup
	middle, called := make(chan struct{}, observedClients), make(chan struct{})
	for client := range observedClients {
		clients.Go(func() {
			scan := func(n int) {
				s := scanned{object: (client*observedScans + n) % len(o.objects), begin: time.Now()}
				reply, err := ask("unix", o.p.Socket, instream(o.objects[s.object]))
				if err != nil {
					reply = err.Error()
				}
				s.end, s.reply = time.Now(), reply
				mu.Lock()
				all = append(all, s)
				mu.Unlock()
			}
			for n := range observedScans {
				scan(n)
			}
			if during == nil {
				return
			}
			middle <- struct{}{}
			for n := 0; ; n++ { // until the call has returned, and then as many again
				scan(n)
				select {
				case <-called:
					for n := range observedScans {
						scan(n)
					}
					return
				default:
				}
			}
		})
	}
	if during != nil {
		<-middle
		during()
		close(called)
	}
	clients.Wait()
	return all
}

// same checks that the replies are those of clamd alone.
func (o *observed) same(what string, all []scanned) {
	o.t.Helper()
	differ := 0
	var times []time.Duration
	for _, s := range all {
		times = append(times, s.end.Sub(s.begin))
		if s.reply != o.alone[s.object] {
			differ++
			o.t.Errorf("%s: object %d: %q, want %q", what, s.object, s.reply, o.alone[s.object])
		}
	}
	slices.Sort(times)
	o.t.Logf("table: %s: %d of %d replies differ; p50 %.1f ms, p99 %.1f ms", what, differ, len(all),
		times[len(times)/2].Seconds()*1000, times[len(times)*99/100].Seconds()*1000)
}

// observe checks the counters of an observed engine.
func (o *observed) observe(e *paranoid) {
	o.t.Helper()
	// What the load during the reload left is counted first.
	was := o.settled("second", e)
	all := o.load(nil)
	o.same("observed", all)
	now := was
	testkit.Eventually(o.t, "all objects are counted", func() bool {
		now = o.node("second", "")
		return counted(now)-counted(was) == int64(len(all))
	})
	if now.Same != e.eicar.Load() || now.Differ != e.plain.Load() || now.Skipped != was.Skipped+int64(len(all))-(now.Same-was.Same)-(now.Differ-was.Differ) {
		o.t.Errorf("counted %+v; the engine found EICAR %d times, and answered %d times to other objects", now, e.eicar.Load(), e.plain.Load())
	}
	o.t.Logf("count: %d objects while observed: %d would not have differed, %d would have, %d skipped", len(all), now.Same-was.Same, now.Differ-was.Differ, now.Skipped-was.Skipped)
}

// settled waits until every answer of the engine is counted.
func (o *observed) settled(name string, e *paranoid) (n observedNode) {
	o.t.Helper()
	testkit.Eventually(o.t, "the answers are counted", func() bool {
		n = o.node(name, "")
		return n.InFlight == 0 && n.Same == e.eicar.Load() && n.Differ == e.plain.Load()
	})
	return n
}

func counted(n observedNode) int64 { return n.Same + n.Differ + n.Skipped }

// change gives the second engine a mode under load. It counts for each scan that begins
// after the command has ended.
func (o *observed) change(mode string) {
	o.t.Helper()
	var before, after time.Time
	all := o.load(func() {
		before = time.Now()
		o.run("engine", mode, "second")
		after = time.Now()
	})
	n := 0
	for _, s := range all {
		asClamd := s.reply == o.alone[s.object]
		asParanoid := strings.HasPrefix(s.reply, "stream: ") && strings.HasSuffix(s.reply, " FOUND\x00")
		wantClamd := false
		switch {
		case s.end.Before(before):
			wantClamd = mode == "on"
		case s.begin.After(after):
			wantClamd = mode != "on"
			n++
		default:
			if !asClamd && !asParanoid {
				o.t.Errorf("while the engine becomes %s: object %d: %q", mode, s.object, s.reply)
			}
			continue
		}
		if wantClamd && !asClamd || !wantClamd && !asParanoid {
			o.t.Errorf("the engine becomes %s, command ended: %t: object %d: %q", mode, s.begin.After(after), s.object, s.reply)
		}
	}
	if n < observedClients*observedScans {
		o.t.Errorf("%d scans after the command", n)
	}
	o.t.Logf("table: engine %s: the command took %.1f ms; %d scans before and during it, %d after it", mode, after.Sub(before).Seconds()*1000, len(all)-n, n)
}

// drain takes a node of clamd out of use and puts it back, under load.
func (o *observed) drain(socket string) {
	o.t.Helper()
	address := "unix:" + socket
	o.same("while a node is drained", o.load(func() { o.run("node", "drain", "clamav", address) }))
	was := o.node("clamav", address)
	o.same("a node is drained", o.load(nil))
	if now := o.node("clamav", address); !now.Drained || now.Scans != was.Scans {
		o.t.Errorf("the drained node had %+v, and then %+v", was, now)
	}
	o.same("while a node is resumed", o.load(func() { o.run("node", "resume", "clamav", address) }))
	if now := o.node("clamav", address); now.Drained || now.Scans == was.Scans {
		o.t.Errorf("the resumed node had %+v, and then %+v", was, now)
	}
}

// observedNode is a node in "polyclam status --json".
type observedNode struct {
	Engine, Address, State string
	Drained                bool
	InFlight               int64 `json:"in_flight"`
	Scans                  int64
	Same                   int64 `json:"observed_same"`
	Differ                 int64 `json:"observed_differ"`
	Skipped                int64 `json:"observed_skipped"`
}

// node returns a node's status; the empty address is the first one.
func (o *observed) node(name, address string) (n observedNode) {
	o.t.Helper()
	var status struct{ Nodes []observedNode }
	// The exit status is 1 while something is not as configured.
	out, err := exec.Command(o.tool, "status", "--json", "--address", "unix:"+o.p.Socket).Output()
	if jsonErr := json.Unmarshal(out, &status); jsonErr != nil {
		o.t.Fatalf("polyclam status: %v, %v: %s", err, jsonErr, out)
	}
	for _, n := range status.Nodes {
		if n.Engine == name && (address == "" || n.Address == address) {
			return n
		}
	}
	o.t.Fatalf("no node %s %s in %s", name, address, out)
	return n
}

// run gives a command to the admin socket.
func (o *observed) run(words ...string) {
	o.t.Helper()
	args := append([]string{words[0], "--admin", "unix:" + o.p.Dir + "/admin.sock"}, words[1:]...)
	out, err := exec.Command(o.tool, args...).CombinedOutput()
	if err != nil {
		o.t.Errorf("polyclam %v: %v: %s", words, err, out)
	}
	o.t.Logf("polyclam %s: %s", strings.Join(words, " "), strings.TrimSpace(string(out)))
}

// waitFor waits until XSTATUS has a text n times.
func (o *observed) waitFor(what, text string, n int) {
	o.t.Helper()
	testkit.Eventually(o.t, what, func() bool {
		reply, _ := ask("unix", o.p.Socket, "zXSTATUS\x00")
		return strings.Count(reply, " "+text+" ") == n
	})
}

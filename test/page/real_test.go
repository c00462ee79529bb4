package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"polyclam/backends/testfile"
	"polyclam/proxy/ops/judge"
	"polyclam/proxy/printable"
	"polyclam/test/clamdtest"
	"polyclam/test/testkit"
)

func TestMain(m *testing.M) { os.Exit(clamdtest.Main(m)) }

// realConfig has clamd (two nodes), a fake engine, and inspect. %[1]s and %[2]s are the nodes,
// %[3]s is the fake engine, %[4]s more keys of clamav.
const realConfig = `
drain_delay = "1m"
[http]
address = "unix:${DIR}/http.sock"
[admin]
address = "unix:${DIR}/admin.sock"
[limits]
stream = "100KiB"
[[listener]]
address = "unix:${DIR}/p.sock"
status = "extended"
[[engine]]
name = "clamav"
backend = "clamd"
addresses = ["unix:%[1]s", "%[2]s"]
sessions = false
canary_interval = "1s"
%[4]s
[[engine]]
name = "second"
backend = "clamd"
address = "%[3]s"
required = false
sessions = false
canary_interval = "1s"
[[engine]]
name = "inspect"
backend = "inspect"
[policy]
first_virus = "wait"
[spool]
directory = "${DIR}/tmp"
`

// A daemon is a real polyclamd with its engines and the tool.
type daemon struct {
	*clamdtest.Polyclam
	t            testing.TB
	clamd        *clamdtest.Clamd
	node, second *fakeEngine
	tool         string
	url          string
	dir          string // files to scan
}

// startDaemon starts a polyclamd, and waits until it has checked its engines.
func startDaemon(t testing.TB, tool, more string, second *fakeEngine) *daemon {
	t.Helper()
	d := &daemon{t: t, tool: tool, clamd: clamdtest.Start(t, clamdtest.Options{Daily: true, HideLog: true}), dir: clamdtest.Dir(t, "")}
	d.node = startFake(t, &fakeEngine{version: "ClamAV 1.4.6/27123/" + time.Unix(clamdtest.DailyTime, 0).UTC().Format(time.ANSIC), name: "Node.Test"})
	d.second = startFake(t, second)
	d.Polyclam = clamdtest.StartPolyclam(t, fmt.Sprintf(realConfig, d.clamd.Socket, d.node.address, d.second.address, more), clamdtest.Options{HideLog: true})
	d.url = d.proxy()
	d.wait("the engines are checked", `"state": "(up|unknown|down)"`, 4)
	return d
}

// proxy serves the daemon's Unix socket for HTTP on a port, for the browser.
func (d *daemon) proxy() string {
	address := testkit.Serve(d.t, "tcp", func(nc net.Conn) {
		to, err := net.Dial("unix", filepath.Join(d.Dir, "http.sock"))
		if err != nil {
			return
		}
		defer to.Close()
		go func() {
			io.Copy(to, nc)
			to.(*net.UnixConn).CloseWrite()
		}()
		io.Copy(nc, to)
	})
	return "http://" + strings.TrimPrefix(address, "tcp:")
}

// get returns what the daemon serves at a path.
func (d *daemon) get(path string) string {
	d.t.Helper()
	r, err := http.NewRequest("GET", d.url+path, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	r.Close = true
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return string(body)
}

// wait waits until /status.json has matches of an expression.
func (d *daemon) wait(what, expression string, n int) {
	d.t.Helper()
	r := regexp.MustCompile(expression)
	testkit.Eventually(d.t, what, func() bool { return len(r.FindAllString(d.get("/status.json"), -1)) >= n })
}

// ask sends a request on one connection, and returns the reply.
func (d *daemon) ask(request string) string {
	d.t.Helper()
	nc, err := net.Dial("unix", d.Socket)
	if err != nil {
		d.t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(nc, request); err != nil {
		d.t.Fatal(err)
	}
	reply, _ := io.ReadAll(nc) // a stream over the limit may end with a reset
	return string(reply)
}

// instream is the request for an object.
func instream(object []byte) string {
	n := len(object)
	return "zINSTREAM\x00" + string([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + string(object) + "\x00\x00\x00\x00"
}

// run runs the tool.
func (d *daemon) run(args ...string) string {
	d.t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(d.tool, append([]string{"--config", d.Conf}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Run() // its status says how polyclamd is
	return out.String()
}

// file writes a file that the daemon may scan.
func (d *daemon) file(name string, data []byte) string {
	d.t.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		d.t.Fatal(err)
	}
	return path
}

// traffic scans objects of all kinds, with hostile ids and names.
func (d *daemon) traffic() {
	d.t.Helper()
	for i := range 20 {
		d.ask(instream(fmt.Appendf(nil, "a clean object %d", i)))
	}
	d.ask("zXTAG 4dLk2x0Cj9z1x\x00" + instream(testfile.EICAR()))
	d.ask("zXTAG </script><img/src=x/onerror=alert(1)>\x00" + instream(testfile.EICAR()))
	d.ask(instream(testfile.Encrypted()))
	d.ask(instream([]byte("FIND it")))
	d.ask(instream([]byte("FAIL at it")))
	d.ask(instream(make([]byte, 200<<10)))
	d.ask("zSCAN " + d.file(hostileFile, testfile.EICAR()) + "\x00")
	d.ask("zSCAN " + filepath.Join(d.dir, "missing") + "\x00")
	d.ask("zBOGUS\x00")
	d.ask("zCONTSCAN " + d.file("letter.zip", testfile.Encrypted()) + "\x00")
}

const hostileFile = "\"'<\u202eimg src=x onerror=alert(1)>\x1b[31m\xff.zip"

// hostileText is a text that an engine might send.
var hostileText = "Evil</script><script>document.title='owned'</script>\"'<img src=x onerror=alert(1)>\x1b[2J\u202ereversed" + strings.Repeat("A long name. ", 300)

// TestReal opens the page of a real polyclamd in several states.
func TestReal(t *testing.T) {
	clamdtest.Require(t)
	b := startBrowser(t)
	tool := filepath.Join(t.TempDir(), "polyclam")
	if out, err := exec.Command("go", "build", "-o", tool, "polyclam/cmd/polyclam").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Run("states", func(t *testing.T) { testStates(t, b, tool) })
	t.Run("hostile", func(t *testing.T) { testRealHostile(t, b, tool) })
}

func testStates(t *testing.T, b *browser, tool string) {
	d := startDaemon(t, tool, "", &fakeEngine{version: "Second 3.2", name: "Second.Test", failure: "Can't allocate memory"})
	d.wait("all nodes are up", `"state": "up"`, 4)
	look := func(name, state string) {
		t.Helper()
		d.look(b, name, state)
	}
	look("fresh", judge.OK)
	d.traffic()
	look("healthy", judge.OK)
	d.agree(b)

	d.run("engine", "observe", "second")
	d.run("node", "drain", "clamav", d.node.address)
	d.traffic()
	look("observed-drained", judge.Degraded)
	d.run("engine", "off", "second")
	look("off", judge.Degraded)
	d.agree(b)
	d.run("engine", "on", "second")
	d.run("node", "resume", "clamav")

	d.node.down.Store(true)
	d.wait("a node is down", `"state": "down"`, 1)
	d.traffic()
	look("node-down", judge.Degraded)
	d.agree(b)
	d.clamd.Kill()
	d.wait("both nodes are down", `"state": "down"`, 2)
	d.traffic()
	look("required-down", judge.Failing)
	d.agree(b)

	d.node.down.Store(false)
	d.wait("a node is up again", `"state": "up"`, 3)
	d.drain()
	look("draining", judge.Degraded) // clamd is still down
	d.end()
}

// drain starts the daemon's drain_delay.
func (d *daemon) drain() {
	d.t.Helper()
	d.Signal(syscall.SIGTERM)
	d.wait("draining", `"draining": true`, 1)
}

// end ends a daemon that drains.
func (d *daemon) end() {
	d.t.Helper()
	d.Signal(syscall.SIGTERM)
	if code, err := d.Wait(); err != nil || code != 0 {
		d.t.Errorf("polyclamd ended with %d, %v", code, err)
	}
}

func testRealHostile(t *testing.T, b *browser, tool string) {
	d := startDaemon(t, tool, `max_signature_age = "1d"`, &fakeEngine{version: hostileText, name: hostileText[:200], failure: hostileText})
	d.traffic()
	d.wait("the signatures are old", `"stale": true`, 1)
	d.look(b, "hostile", judge.Degraded)
	d.agree(b)
	tab := b.open(t, d.url+"/", wide)
	if got := tab.eval(`document.title + document.images.length + document.scripts.length`); !strings.HasPrefix(got, "degraded: polyclam on ") || !strings.HasSuffix(got, "01") {
		t.Errorf("the title, images and scripts are %q", got)
	}
	for _, path := range []string{"/", "/status.json", "/metrics", "/readyz"} {
		for _, c := range d.get(path) {
			if c != '\n' && c != '\t' && c < ' ' || c == '\u202e' || c == 0x7f {
				t.Errorf("%s has the character %q", path, c)
				break
			}
		}
	}
	d.drain()
	d.end()
}

// look opens the page in several widths. Nothing complains, and nothing is too wide.
// POLYCLAM_SHOTS is a directory for pictures.
func (d *daemon) look(b *browser, name, state string) {
	d.t.Helper()
	testkit.Eventually(d.t, "a page of "+name, func() bool { // all viewers of a second get the same
		return strings.Contains(d.get("/"), "<strong>"+state+"</strong>")
	})
	for _, l := range []look{wide, phone, {1280, 900, "dark", false, nil}} {
		tab := b.open(d.t, d.url+"/", l)
		if c := tab.complaints(); len(c) > 0 {
			d.t.Errorf("%s: %s", name, strings.Join(c, "\n"))
		}
		if got, want := tab.eval(`document.documentElement.scrollWidth`), fmt.Sprint(l.width); got != want {
			d.t.Errorf("%s: the page is %s wide in a window of %s", name, got, want)
		}
		if got := tab.eval(`document.querySelector("#sentence strong").textContent`); got != state {
			d.t.Errorf("%s: the state is %s, want %s: %s", name, got, state, tab.eval(sentence))
		}
		if dir := os.Getenv("POLYCLAM_SHOTS"); dir != "" {
			file := filepath.Join(dir, fmt.Sprintf("real-%s-%d-%s.png", name, l.width, l.scheme))
			if err := os.WriteFile(file, tab.shoot(true), 0o644); err != nil {
				d.t.Fatal(err)
			}
		}
	}
}

// tableScript returns the numbers on the page, as "key=number" lines.
const tableScript = `(() => {
	const lines = [], number = (text) => text.replaceAll(",", "").trim();
	for (const row of document.querySelectorAll("#part-verdicts tbody tr"))
		lines.push("verdicts " + row.cells[0].textContent + "=" + number(row.cells[2].textContent));
	for (const body of document.querySelectorAll("table.nodes tbody")) {
		const engine = body.querySelector(".name").textContent;
		for (const row of body.querySelectorAll("tr:not(.engine):not(.why)")) {
			const cell = (label) => row.querySelector("[data-label='" + label + "'] div");
			const node = engine + " " + (row.cells[0].textContent === "built in" ? "" : row.cells[0].querySelector("[title]")?.title ?? row.cells[0].textContent);
			lines.push("failures " + node + "=" + number(cell("Failures").textContent));
			for (const unit of cell("Results").querySelectorAll(".unit")) {
				const [n, category] = unit.textContent.split(" ");
				lines.push("result " + node + " " + category + "=" + number(n));
			}
			lines.push("state " + node + "=" + cell("State").textContent.split(",")[0]);
		}
	}
	return lines.join("\n");
})()`

// agree checks that the page, /status.json, /metrics and polyclam status have the same
// sentence and the same numbers, while nothing is scanned.
func (d *daemon) agree(b *browser) {
	d.t.Helper()
	var served, told struct {
		State, Sentence string
		Nodes           []struct {
			Engine, Address, State string
			Scans, Failures        int64
		}
	}
	read := func(text string, to any) {
		d.t.Helper()
		if err := json.Unmarshal([]byte(text), to); err != nil {
			d.t.Fatalf("%v\n%s", err, text)
		}
	}
	// Health checks go on, so the first look may be at two states.
	var tab *tab
	testkit.Eventually(d.t, "the page and the tool say the same", func() bool {
		read(d.get("/status.json"), &served)
		read(d.run("status", "--json"), &told)
		tab = b.open(d.t, d.url+"/", wide)
		return fmt.Sprint(served) == fmt.Sprint(told) && strings.HasSuffix(tab.eval(sentence), printable.Escape(told.Sentence, 600))
	})
	onPage := map[string]string{}
	for line := range strings.Lines(tab.eval(tableScript)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		onPage[key] = value
	}
	want := map[string]string{}
	sums := map[string]int64{}
	for line := range strings.Lines(d.get("/metrics")) {
		m := sample.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		labels := map[string]string{}
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			labels[l[1]] = l[2]
		}
		n, _ := strconv.ParseFloat(m[3], 64)
		switch m[1] {
		case "polyclam_scans_total":
			sums["verdicts "+labels["category"]] += int64(n)
			sums["verdicts all"] += int64(n)
		case "polyclam_engine_results_total":
			if n > 0 && !failureWords[labels["category"]] {
				sums["result "+labels["engine"]+" "+labels["node"]+" "+labels["category"]] += int64(n)
			}
		}
	}
	for key, n := range sums {
		want[key] = fmt.Sprint(n)
	}
	for _, n := range told.Nodes {
		want["failures "+n.Engine+" "+n.Address] = fmt.Sprint(n.Failures)
		want["state "+n.Engine+" "+n.Address] = n.State
	}
	for key := range onPage {
		if _, counted := want[key]; !counted {
			want[key] = "0" // of this there was nothing
		}
	}
	for key, n := range want {
		if onPage[key] != n {
			d.t.Errorf("%s: the page shows %q, the others %s", key, onPage[key], n)
		}
	}
	if len(sums) < 5 || len(want) < 20 {
		d.t.Errorf("%d numbers on the page: %v", len(onPage), onPage)
	}
}

var (
	sample       = regexp.MustCompile(`^(\w+)\{(.*)\} (\S+)`)
	label        = regexp.MustCompile(`(\w+)="((?:[^"\\]|\\.)*)"`)
	failureWords = map[string]bool{"swerr": true, "interrupted": true, "cannot-execute": true, "not-installed": true}
)

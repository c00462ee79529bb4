package page

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"polyclam/test/child"
	"polyclam/test/clamdtest"
	"polyclam/test/testkit"
)

// patience limits every wait for the browser.
const patience = time.Minute

// A browser is a Chromium without windows, which a test drives with the DevTools protocol
// over a pair of pipes.
type browser struct {
	process *child.Process
	in      io.Writer

	mu      sync.Mutex
	next    int
	answers map[int]chan answer
	events  []event
}

// An answer is the answer to a command.
type answer struct {
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// An event is something that has happened in a tab.
type event struct {
	Method  string          `json:"method"`
	Session string          `json:"sessionId"`
	Params  json.RawMessage `json:"params"`
}

// startBrowser starts a browser, which ends with the test. Without Chromium it skips the
// test.
func startBrowser(t testing.TB) *browser {
	t.Helper()
	program := clamdtest.RequireProgram(t, "chromium")
	toBrowser, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, fromBrowser, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--mute-audio",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
		"--user-data-dir="+testkit.SocketDir(t), "--remote-debugging-pipe", "about:blank")
	cmd.ExtraFiles = []*os.File{toBrowser, fromBrowser} // its descriptors 3 and 4
	cmd.Env = append(os.Environ(), "TZ=UTC", "HOME="+t.TempDir())
	process, err := child.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	toBrowser.Close()
	fromBrowser.Close()
	b := &browser{process: process, in: in, answers: map[int]chan answer{}}
	go b.read(out)
	t.Cleanup(func() {
		in.Close() // the browser ends
		process.Wait(5 * time.Second)
		process.Kill()
		out.Close()
	})
	return b
}

// read reads what the browser says, message by message, until it ends.
func (b *browser) read(out io.Reader) {
	var rest []byte
	piece := make([]byte, 64<<10)
	for {
		n, err := out.Read(piece)
		rest = append(rest, piece[:n]...)
		for {
			message, after, found := bytes.Cut(rest, []byte{0})
			if !found {
				break
			}
			b.take(message)
			rest = after
		}
		if err != nil {
			return
		}
	}
}

func (b *browser) take(message []byte) {
	var m struct {
		ID int `json:"id"`
		answer
		event
	}
	if json.Unmarshal(message, &m) != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if m.ID == 0 {
		b.events = append(b.events, m.event)
		return
	}
	if c := b.answers[m.ID]; c != nil {
		c <- m.answer
		delete(b.answers, m.ID)
	}
}

// do sends a command and returns its result.
func (b *browser) do(t testing.TB, session, method string, params map[string]any) json.RawMessage {
	t.Helper()
	c := make(chan answer, 1)
	b.mu.Lock()
	b.next++
	id := b.next
	b.answers[id] = c
	b.mu.Unlock()
	command := map[string]any{"id": id, "method": method}
	if params != nil {
		command["params"] = params
	}
	if session != "" {
		command["sessionId"] = session
	}
	text, err := json.Marshal(command)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.in.Write(append(text, 0)); err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	select {
	case a := <-c:
		if a.Error != nil {
			t.Fatalf("%s: %s", method, a.Error.Message)
		}
		return a.Result
	case <-time.After(patience):
		t.Fatalf("%s: no answer after %v", method, patience)
	}
	return nil
}

// A tab is a tab of a browser.
type tab struct {
	t       testing.TB
	b       *browser
	session string
}

// A look is how a tab shows pages.
type look struct {
	width, height int
	scheme        string // light or dark
	noScript      bool
	scripts       []string // run before those of the page
}

// open opens a tab, and a page in it.
func (b *browser) open(t testing.TB, url string, l look) *tab {
	t.Helper()
	var created struct{ TargetID, SessionID string }
	b.result(t, "", "Target.createTarget", map[string]any{"url": "about:blank"}, &created)
	b.result(t, "", "Target.attachToTarget", map[string]any{"targetId": created.TargetID, "flatten": true}, &created)
	tb := &tab{t, b, created.SessionID}
	t.Cleanup(func() { b.do(t, "", "Target.closeTarget", map[string]any{"targetId": created.TargetID}) })
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		tb.do(domain+".enable", nil)
	}
	tb.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": l.width, "height": l.height, "deviceScaleFactor": 1, "mobile": l.width < 500})
	tb.do("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]any{{"name": "prefers-color-scheme", "value": l.scheme}}})
	tb.do("Emulation.setScriptExecutionDisabled", map[string]any{"value": l.noScript})
	for _, script := range l.scripts {
		tb.do("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": script})
	}
	tb.load(url)
	return tb
}

// load loads a page and waits until it is there.
func (t *tab) load(url string) {
	t.t.Helper()
	before := t.count("Page.loadEventFired")
	t.do("Page.navigate", map[string]any{"url": url})
	testkit.Eventually(t.t, "the page is loaded", func() bool { return t.count("Page.loadEventFired") > before })
}

func (t *tab) do(method string, params map[string]any) json.RawMessage {
	t.t.Helper()
	return t.b.do(t.t, t.session, method, params)
}

func (b *browser) result(t testing.TB, session, method string, params map[string]any, to any) {
	t.Helper()
	if err := json.Unmarshal(b.do(t, session, method, params), to); err != nil {
		t.Fatalf("%s: %v", method, err)
	}
}

// eventsOf returns the events of the tab with one of these names.
func (t *tab) eventsOf(methods ...string) (list []event) {
	t.b.mu.Lock()
	defer t.b.mu.Unlock()
	for _, e := range t.b.events {
		for _, m := range methods {
			if e.Session == t.session && e.Method == m {
				list = append(list, e)
			}
		}
	}
	return list
}

func (t *tab) count(method string) int { return len(t.eventsOf(method)) }

// complaints are the messages of the console, violations of the security policy, and
// exceptions.
func (t *tab) complaints() (list []string) {
	for _, e := range t.eventsOf("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded") {
		list = append(list, e.Method+" "+string(e.Params))
	}
	return list
}

// eval evaluates an expression, and returns its value as text.
func (t *tab) eval(expression string) string {
	t.t.Helper()
	var v struct {
		Result struct {
			Value any `json:"value"`
		} `json:"result"`
		ExceptionDetails json.RawMessage `json:"exceptionDetails"`
	}
	t.b.result(t.t, t.session, "Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &v)
	if v.ExceptionDetails != nil {
		t.t.Fatalf("%s: %s", expression, v.ExceptionDetails)
	}
	return fmt.Sprint(v.Result.Value)
}

// shoot returns a picture of the page, as PNG: of all of it, or of its first lines.
func (t *tab) shoot(all bool) []byte {
	t.t.Helper()
	var v struct{ Data string }
	t.b.result(t.t, t.session, "Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": all, "optimizeForSpeed": false}, &v)
	data, err := base64.StdEncoding.DecodeString(v.Data)
	if err != nil {
		t.t.Fatal(err)
	}
	return data
}

package page

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"polyclam/proxy"
	"polyclam/proxy/ops/page"
	"polyclam/proxy/ops/page/pagetest"
	"polyclam/test/testkit"
)

// hour is how many times a scene advances in an hour.
const hour = 240

// A site serves the status page of a scene.
type site struct {
	url      string
	page     *page.Page
	requests atomic.Int64
	fault    atomic.Pointer[http.HandlerFunc] // answers instead of the page
}

// ServeHTTP implements http.Handler.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	if f := s.fault.Load(); f != nil {
		(*f)(w, r)
		return
	}
	s.page.ServeHTTP(w, r)
}

// serve serves the page of a scene after an hour.
func serve(t testing.TB, scene *pagetest.Scene) *site {
	t.Helper()
	s := &site{page: page.Of(scene, pagetest.Host, page.Options{Scans: true})}
	s.page.Sample()
	for range hour {
		scene.Advance()
		s.page.Sample()
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL + "/"
	return s
}

var (
	wide   = look{width: 1280, height: 900, scheme: "light"}
	middle = look{width: 800, height: 900, scheme: "light"}
	phone  = look{width: 320, height: 700, scheme: "dark"}
)

// handTime replaces the page's timers: they wait until a test calls tick.
const handTime = `
	window.timers = new Map();
	let id = 0;
	window.setTimeout = (f, ms) => { timers.set(++id, [f, ms]); return id; };
	window.clearTimeout = (id) => timers.delete(id);
	window.waits = () => [...timers.values()].map(([, ms]) => ms).join();
	window.tick = async () => { const all = [...timers.values()]; timers.clear(); for (const [f] of all) await f(); };
	window.hide = (hidden) => {
		Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
		document.dispatchEvent(new Event("visibilitychange"));
	};
`

// byHand is wide with timers that a test runs.
var byHand = look{width: 1280, height: 900, scheme: "light", scripts: []string{handTime}}

const sentence = `document.getElementById("sentence").textContent`

// TestStatusPage opens the page in Chromium.
func TestStatusPage(t *testing.T) {
	b := startBrowser(t)
	t.Run("looks", func(t *testing.T) { testLooks(t, b) })
	t.Run("accessibility", func(t *testing.T) { testAccessibility(t, b) })
	t.Run("hostile", func(t *testing.T) { testHostile(t, b) })
	t.Run("refreshes", func(t *testing.T) { testRefreshes(t, b) })
	t.Run("updates", func(t *testing.T) { testUpdates(t, b) })
	t.Run("lost", func(t *testing.T) { testLost(t, b) })
	t.Run("hidden and paused", func(t *testing.T) { testHidden(t, b) })
	t.Run("without JavaScript", func(t *testing.T) { testNoScript(t, b) })
}

// testLooks opens every scene in several widths: nothing complains, nothing is wider than
// the window.
func testLooks(t *testing.T, b *browser) {
	for name, scene := range pagetest.Scenes {
		s := serve(t, scene())
		for _, l := range []look{wide, middle, phone} {
			tab := b.open(t, s.url, l)
			if c := tab.complaints(); len(c) > 0 {
				t.Errorf("%s: %s", name, strings.Join(c, "\n"))
			}
			if got, want := tab.eval(`document.documentElement.scrollWidth`), fmt.Sprint(l.width); got != want {
				t.Errorf("%s: the page is %s wide in a window of %s", name, got, want)
			}
		}
		if name == "hostile" { // its texts are in the words of the state
			continue
		}
		background := func(l look) string {
			return b.open(t, s.url, l).eval(`getComputedStyle(document.body).backgroundColor`)
		}
		if light, dark := background(wide), background(phone); light == dark {
			t.Errorf("%s: the background is %s in both schemes", name, light)
		}
	}
}

// testAccessibility checks that the tables are tables for a screen reader, also where they
// are shown as cards.
func testAccessibility(t *testing.T, b *browser) {
	s := serve(t, pagetest.Degraded())
	roles := func(l look) map[string]int {
		tab := b.open(t, s.url, l)
		var tree struct {
			Nodes []struct {
				Ignored bool
				Role    struct{ Value string }
			}
		}
		if err := json.Unmarshal(tab.do("Accessibility.getFullAXTree", nil), &tree); err != nil {
			t.Fatal(err)
		}
		count := map[string]int{}
		for _, n := range tree.Nodes {
			if !n.Ignored {
				count[n.Role.Value]++
			}
		}
		return count
	}
	full, cards := roles(wide), roles(phone)
	for role, least := range map[string]int{"table": 5, "row": 30, "columnheader": 20, "rowheader": 20, "main": 1, "banner": 1, "navigation": 1, "heading": 6, "region": 5} {
		same := full[role] == cards[role] || role == "columnheader" && full[role] == cards[role]+1 // a phone has no bars
		if full[role] < least || !same {
			t.Errorf("%d of role %s in a wide window and %d on a phone, want the same and at least %d", full[role], role, cards[role], least)
		}
	}
}

// testHostile checks that foreign texts are texts.
func testHostile(t *testing.T, b *browser) {
	s := serve(t, pagetest.Hostile())
	tab := b.open(t, s.url, byHand)
	for range 3 {
		tab.eval(`tick()`)
	}
	if got := tab.eval(`document.title`); got != "failing: polyclam on "+pagetest.Host {
		t.Errorf("the title is %q", got)
	}
	if got := tab.eval(`document.images.length + document.scripts.length + document.styleSheets.length`); got != "2" {
		t.Errorf("%s images, scripts and styles, want one script and one style", got)
	}
	if got := tab.eval(`getComputedStyle(document.querySelector("main")).display`); got != "block" {
		t.Errorf("the page is shown as %s", got)
	}
	if c := tab.complaints(); len(c) > 0 {
		t.Errorf("the browser complains: %s", strings.Join(c, "\n"))
	}
	// If something did get into the page, the policy would stop it.
	tab.eval(`document.body.insertAdjacentHTML("beforeend", "<img src=x onerror=\"document.title='owned'\"><style>main{display:none}</style>");
		const s = document.createElement("script"); s.textContent = "document.title='owned'"; document.body.append(s)`)
	testkit.Eventually(t, "the policy stops all three", func() bool { return len(tab.complaints()) >= 3 })
	if got := tab.eval(`document.title + getComputedStyle(document.querySelector("main")).display`); !strings.HasSuffix(got, pagetest.Host+"block") {
		t.Errorf("the title and display are %q", got)
	}
}

// testRefreshes waits until the page has refreshed itself, with real timers.
func testRefreshes(t *testing.T, b *browser) {
	scene := pagetest.Healthy()
	s := serve(t, scene)
	tab := b.open(t, s.url, wide)
	scene.Advance()
	testkit.Eventually(t, "the page shows the new time", func() bool {
		return strings.HasPrefix(tab.eval(`document.getElementById("asof").textContent`), "14:05:15")
	})
	if n := tab.count("Page.loadEventFired"); n != 1 {
		t.Errorf("the page was loaded %d times", n)
	}
}

// testUpdates checks what a refresh changes, and what it does not.
func testUpdates(t *testing.T, b *browser) {
	scene := pagetest.Healthy()
	s := serve(t, scene)
	tab := b.open(t, s.url, byHand)
	const place = `document.getElementById("resources").getBoundingClientRect().top`
	tab.eval(`document.querySelector("button").focus({ preventScroll: true }); document.getElementById("resources").scrollIntoView();
		window.same = document.getElementById("sentence"); window.changes = 0;
		new MutationObserver((m) => changes += m.length).observe(same, { childList: true, subtree: true, characterData: true, attributes: true })`)
	seen := tab.eval(place)
	scene.Advance()
	nextSecond(t, s, "14:05:15")
	tab.eval(`tick()`)
	if got := tab.eval(`changes`); got != "0" {
		t.Errorf("the sentence changed %s times, and a screen reader would read it again", got)
	}
	if got := tab.eval(`document.getElementById("asof").textContent`); got != "14:05:15 UTC" {
		t.Errorf("the time is %s", got)
	}
	scene.Advance()
	scene.Change(func(snap *proxy.Snapshot) {
		n := &snap.Engines[1].Nodes[0]
		n.State, n.Reason = "down", "no answer"
	})
	nextSecond(t, s, "14:05:30")
	tab.eval(`tick()`)
	if got := tab.eval(sentence); got != "failingevery scan is answered with ERROR: sophos (required) at unix:/run/savdi/sssp.sock is down: no answer" {
		t.Errorf("the sentence is %q", got)
	}
	for expression, want := range map[string]string{
		`same === document.getElementById("sentence")`: "true", `same.className`: "sentence failing", `document.activeElement.tagName`: "BUTTON",
		`Math.abs(` + place + ` - (` + seen + `)) < 2`: "true", `document.title.startsWith("failing: ")`: "true", `waits()`: "5000",
	} {
		if got := tab.eval(expression); got != want {
			t.Errorf("%s is %s, want %s", expression, got, want)
		}
	}
	// A selection stays.
	tab.eval(`getSelection().selectAllChildren(document.getElementById("part-engines"))`)
	before := s.requests.Load()
	tab.eval(`tick()`)
	if got := tab.eval(`getSelection().isCollapsed + waits()`); got != "false5000" || s.requests.Load() != before {
		t.Errorf("after a refresh with a selection: %s, %d requests", got, s.requests.Load()-before)
	}
	if c := tab.complaints(); len(c) > 0 {
		t.Errorf("the browser complains: %s", strings.Join(c, "\n"))
	}
}

// nextSecond waits until the server renders the page again, at this time of the scene.
func nextSecond(t *testing.T, s *site, clock string) {
	t.Helper()
	testkit.Eventually(t, "the page is rendered again", func() bool {
		w := httptest.NewRecorder()
		s.page.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		return strings.Contains(w.Body.String(), clock)
	})
}

// testLost takes the server away and brings it back.
func testLost(t *testing.T, b *browser) {
	s := serve(t, pagetest.Healthy())
	tab := b.open(t, s.url, byHand)
	for _, tt := range []struct {
		name, want, waits string
		fault             http.HandlerFunc
	}{
		{"the connection breaks", "lostpolyclamd does not answer (no connection). What this page shows is as of 14:05:00 UTC.", "10000", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		{"overloaded", "lostpolyclamd does not answer (HTTP status 503). What this page shows is as of 14:05:00 UTC.", "20000", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }},
		{"a proxy's own page", "lostpolyclamd does not answer (another page came instead). What this page shows is as of 14:05:00 UTC.", "30000", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<title>Log in</title>")) }},
		{"still", "lostpolyclamd does not answer (another page came instead). What this page shows is as of 14:05:00 UTC.", "30000", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<title>Log in</title>")) }},
		{"back", "okeverything is usable", "5000", nil},
	} {
		if s.fault.Store(nil); tt.fault != nil {
			s.fault.Store(&tt.fault)
		}
		tab.eval(`tick()`)
		if got, waits := tab.eval(sentence), tab.eval(`waits()`); got != tt.want || waits != tt.waits {
			t.Errorf("%s: %q, and the next refresh after %s; want %q, %s", tt.name, got, waits, tt.want, tt.waits)
		}
	}
	if got := tab.eval(`document.getElementById("sentence").className`); got != "sentence ok" {
		t.Errorf("the class is %q", got)
	}
}

// testHidden checks that a hidden page and a paused one send no requests.
func testHidden(t *testing.T, b *browser) {
	s := serve(t, pagetest.Healthy())
	tab := b.open(t, s.url, byHand)
	button := `document.querySelector("button")`
	for _, step := range []struct{ do, waits, label string }{
		{`1`, "5000", "Pause"},
		{`hide(true)`, "", "Pause"},
		{`hide(false)`, "5000", "Pause"},
		{button + `.click()`, "", "Resume"},
		{`hide(true); hide(false)`, "", "Resume"},
		{button + `.click()`, "5000", "Pause"},
	} {
		tab.eval(step.do)
		testkit.Eventually(t, step.do+": the timers are "+step.waits, func() bool { return tab.eval(`waits()`) == step.waits })
		if got := tab.eval(button + `.textContent`); got != step.label {
			t.Errorf("after %s the button says %s", step.do, got)
		}
	}
	if n := s.requests.Load(); n != 3 { // the page, shown again, resumed
		t.Errorf("%d requests, want 3", n)
	}
}

// testNoScript checks that the page is complete without JavaScript.
func testNoScript(t *testing.T, b *browser) {
	s := serve(t, pagetest.Degraded())
	l := wide
	l.noScript = true
	tab := b.open(t, s.url, l)
	text := tab.eval(`document.body.innerText`)
	for _, part := range []string{"polyclamd is up; 1 of 2 nodes of clamav is down", "Refresh now", "(every 30 seconds)", "Win.Trojan.Emotet-9951800-0"} {
		if !strings.Contains(text, part) {
			t.Errorf("the page has no %q", part)
		}
	}
	if got := tab.eval(`document.querySelector("noscript meta")?.content`); got != "30" {
		t.Errorf("the page is loaded again every %s seconds", got)
	}
	if c := tab.complaints(); len(c) > 0 {
		t.Errorf("the browser complains: %s", strings.Join(c, "\n"))
	}
}

// TestShots takes pictures for people to look at, in the directory that is named by
// POLYCLAM_SHOTS; of scenes and looks whose names are in POLYCLAM_SCENES and POLYCLAM_LOOKS.
func TestShots(t *testing.T) {
	dir := os.Getenv("POLYCLAM_SHOTS")
	if dir == "" {
		return // no test: pictures for people to look at
	}
	b := startBrowser(t)
	wanted := func(key, name string) bool {
		list := os.Getenv(key)
		return list == "" || slices.Contains(strings.Split(list, ","), name)
	}
	for name, scene := range pagetest.Scenes {
		if !wanted("POLYCLAM_SCENES", name) {
			continue
		}
		s := serve(t, scene())
		for _, l := range []look{wide, middle, {1280, 900, "dark", false, nil}, {320, 700, "light", false, nil}, phone} {
			file := fmt.Sprintf("%d-%s", l.width, l.scheme)
			if !wanted("POLYCLAM_LOOKS", file) {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, name+"-"+file+".png"), b.open(t, s.url, l).shoot(true), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

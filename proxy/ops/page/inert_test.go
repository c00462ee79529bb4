package page

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/proxy"
	"polyclam/proxy/ops/page/pagetest"
	"polyclam/proxy/record"
)

// An element is an element of a page.
type element struct {
	name string
	attr map[string]string
	text string // its own, without that of elements in it
	path string // the names of the elements around it
}

var void = []string{"meta", "link", "col"}

// elements parses a page strictly: every element is closed in order, every attribute
// quoted. It returns them in the order of their beginnings.
func elements(page string) (list []*element, err error) {
	page = strings.TrimPrefix(strings.Replace(strings.Replace(page, pageCSS, "", 1), pageJS, "", 1), "<!doctype html>\n")
	page = strings.ReplaceAll(page, " data-part", ` data-part=""`)
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict = true
	d.Entity = map[string]string{}
	var open []*element
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := &element{name: token.Name.Local, attr: map[string]string{}}
			for _, o := range open {
				e.path += "/" + o.name
			}
			for _, a := range token.Attr {
				if _, twice := e.attr[a.Name.Local]; twice {
					return nil, fmt.Errorf("<%s> has two of %s", e.name, a.Name.Local)
				}
				e.attr[a.Name.Local] = a.Value
			}
			list = append(list, e)
			if !slices.Contains(void, e.name) {
				open = append(open, e)
			}
		case xml.EndElement:
			if slices.Contains(void, token.Name.Local) { // the end of <path/>
				continue
			}
			if len(open) == 0 || open[len(open)-1].name != token.Name.Local {
				return nil, fmt.Errorf("</%s> does not fit", token.Name.Local)
			}
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].text += string(token)
			}
		default:
			return nil, fmt.Errorf("%T", token)
		}
	}
	if len(open) > 0 {
		return nil, fmt.Errorf("<%s> is not closed", open[len(open)-1].name)
	}
	return list, nil
}

// known are the elements of the page with their attributes.
var known = map[string]string{
	"html": "lang", "head": "", "body": "", "meta": "charset name content http-equiv", "title": "", "link": "rel id href", "style": "", "script": "", "noscript": "",
	"header": "", "main": "", "nav": "aria-label", "section": "class aria-labelledby", "h1": "", "h2": "id class", "h3": "", "p": "id class data-part aria-live",
	"div": "id class data-part", "span": "class title", "strong": "", "a": "href", "ul": "id class data-part", "li": "class", "time": "id datetime",
	"table": "class role", "caption": "", "colgroup": "", "col": "class", "thead": "role", "tbody": "role", "tr": "class role", "th": "class scope role colspan",
	"td": "class role colspan data-label", "svg": "class viewBox preserveAspectRatio role aria-label aria-hidden", "path": "class d", "line": "class x1 y1 x2 y2",
	"rect": "class width height rx",
}

var (
	safeHref = regexp.MustCompile(`^(#[a-z]+|\.|data:image/svg\+xml,[A-Za-z0-9%/:.='+ -]+)$`)
	safeText = regexp.MustCompile(`^[\n -~…]*$`)
)

// TestValid checks the markup of every scene: well formed, nothing in it but what the page
// is made of, and what a screen reader needs.
func TestValid(t *testing.T) {
	for name, scene := range pagetest.Scenes {
		t.Run(name, func(t *testing.T) {
			list, err := elements(rendered(t, scene(), Options{Scans: true}))
			if err != nil {
				t.Fatal(err)
			}
			checkKnown(t, list)
			checkReadable(t, list)
		})
	}
}

func checkKnown(t *testing.T, list []*element) {
	t.Helper()
	count := map[string]int{}
	for _, e := range list {
		count[e.name]++
		attributes, ok := known[e.name]
		if !ok {
			t.Fatalf("the page has an element <%s>", e.name)
		}
		for name, value := range e.attr {
			if !slices.Contains(strings.Fields(attributes), name) {
				t.Errorf("<%s> has %s=%q", e.name, name, value)
			}
			if name == "href" && !safeHref.MatchString(value) {
				t.Errorf("a link to %q", value)
			}
			if !safeText.MatchString(value) {
				t.Errorf("%s=%q has characters that should be escaped", name, value)
			}
		}
		if !safeText.MatchString(e.text) {
			t.Errorf("%q has characters that should be escaped", e.text)
		}
	}
	for name, want := range map[string]int{"script": 1, "style": 1, "title": 1, "main": 1, "header": 1, "nav": 1, "h1": 1} {
		if count[name] != want {
			t.Errorf("%d elements <%s>", count[name], name)
		}
	}
}

func checkReadable(t *testing.T, list []*element) {
	t.Helper()
	ids := map[string]bool{}
	level, live := 0, 0
	for i, e := range list {
		if id := e.attr["id"]; id != "" {
			if ids[id] {
				t.Errorf("two elements have the id %s", id)
			}
			ids[id] = true
		}
		if e.attr["aria-live"] != "" {
			live++
		}
		switch e.name {
		case "h1", "h2", "h3":
			if l := int(e.name[1] - '0'); l > level+1 {
				t.Errorf("<%s> follows a heading of level %d", e.name, level)
			} else {
				level = l
			}
		case "th":
			if e.attr["scope"] == "" {
				t.Errorf("<th>%s has no scope", e.text)
			}
		case "table":
			if i+1 == len(list) || list[i+1].name != "caption" {
				t.Error("a table has no caption")
			}
		case "svg":
			if e.attr["aria-hidden"] != "true" && (e.attr["role"] != "img" || e.attr["aria-label"] == "") {
				t.Error("a drawing has no text")
			}
		}
	}
	for _, e := range list {
		if id := e.attr["aria-labelledby"]; id != "" && !ids[id] {
			t.Errorf("nothing has the id %s", id)
		}
		if id, ok := strings.CutPrefix(e.attr["href"], "#"); ok && !ids[id] {
			t.Errorf("a link to #%s, which is not there", id)
		}
	}
	if live != 1 {
		t.Errorf("%d live regions", live)
	}
}

// with is a page in which every foreign text is this one.
func with(text string) *pagetest.Scene {
	s := pagetest.Healthy()
	s.Change(func(snap *proxy.Snapshot) {
		snap.Server.Version = text
		for i := range snap.Engines {
			snap.Engines[i].Name, snap.Engines[i].Kind = text, text
			for j := range snap.Engines[i].Nodes {
				n := &snap.Engines[i].Nodes[j]
				n.Address, n.Reason, n.Version, n.State = text, text, text, text
				n.Canary.Encrypted, n.Canary.Mail = backends.Category(text), backends.Category(text)
			}
		}
	})
	return s
}

type one struct {
	*pagetest.Scene
	scan record.Scan
}

func (o one) NotOK(int) []*record.Scan { return []*record.Scan{&o.scan} }

// shape is the page without its texts: its elements, and their attributes but for titles.
func shape(t testing.TB, text string) (shape []string) {
	t.Helper()
	scan := record.Scan{
		ID: text, Tag: text, Time: time.Unix(1, 0), Client: text, Listener: text, Command: text, Object: text, Names: []string{text}, Category: backends.Category(text), Action: text, Engine: text,
	}
	body, err := Of(one{with(text), scan}, text, Options{Scans: true}).render()
	if err != nil {
		t.Fatal(err)
	}
	list, err := elements(string(body))
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	for _, e := range list {
		if e.attr["title"] != "" {
			continue // a text that was cut
		}
		line := e.path + "/" + e.name
		for _, name := range slices.Sorted(func(yield func(string) bool) {
			for name := range e.attr {
				if !yield(name) {
					return
				}
			}
		}) {
			line += " " + name + "=" + e.attr[name]
		}
		if !safeText.MatchString(e.text) {
			t.Fatalf("%q: %q has characters that should be escaped", text, e.text)
		}
		shape = append(shape, line)
	}
	return shape
}

// FuzzForeignText checks that no foreign text changes anything of the page but texts.
func FuzzForeignText(f *testing.F) {
	for _, text := range pagetest.Nasty {
		f.Add(text)
	}
	want := shape(f, "x")
	f.Fuzz(func(t *testing.T, text string) {
		switch {
		case text == "", len(text) > 8<<10, strings.HasSuffix(text, "ok"), backends.Category(text).Valid(), text == "up", text == "unknown", text == "reloading":
			return // these mean something
		}
		got := shape(t, text)
		if !slices.Equal(got, want) {
			for i := range min(len(got), len(want)) {
				if got[i] != want[i] {
					t.Fatalf("%q changes the page: %s, want %s", text, got[i], want[i])
				}
			}
			t.Fatalf("%q changes the page: it has %d elements, want %d", text, len(got), len(want))
		}
	})
}

package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/proxy/client"
	"polyclam/proxy/record"
)

func ask(t *testing.T, h http.Handler, key string) (Why, int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/why?key="+url.QueryEscape(key), nil))
	var answer Why
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	return answer, w.Code, w.Body.String()
}

func TestWhy(t *testing.T) {
	ring := record.NewRing(1 << 20)
	started := time.Unix(1_000_000, 0)
	h := whyIn(ring, started)
	hostile := "a\n\x1b[2J\xff\u202e\\"
	engine := record.Engine{Engine: "e", Names: []string{hostile}, Detail: hostile, Error: hostile, Ruled: []record.Ruled{{Name: hostile, Category: backends.OK, Rule: "^a"}}}
	added := record.Scan{ID: "id1", Tag: "q1", NotScanned: hostile, Object: hostile, Error: hostile, Reason: hostile, Reply: hostile, Names: []string{hostile}, Engines: []record.Engine{engine}}
	ring.Add(client.User(1), &added)
	answer, status, body := ask(t, h, "q1")
	if status != 200 || len(answer.Records) != 1 || answer.More || !answer.Started.Equal(started) || !answer.SinceOK.IsZero() {
		t.Fatalf("got %d, %s", status, body)
	}
	const want = `a\x0a\x1b[2J\xff\xe2\x80\xae\\`
	s := answer.Records[0]
	for i, got := range []string{s.Object, s.NotScanned, s.Error, s.Reason, s.Reply, s.Names[0], s.Engines[0].Names[0], s.Engines[0].Detail, s.Engines[0].Error, s.Engines[0].Ruled[0].Name} {
		if got != want {
			t.Errorf("text %d: got %q", i, got)
		}
	}
	if raw := ring.Find("q1", 1)[0]; raw.Object != hostile || raw.Engines[0].Names[0] != hostile || raw.Engines[0].Ruled[0].Name != hostile {
		t.Errorf("the record changed: %+v", raw)
	}
}

func TestWhyBounds(t *testing.T) {
	ring := record.NewRing(1 << 20)
	h := whyIn(ring, time.Now())
	for key, want := range map[string]int{"": 400, strings.Repeat("x", 257): 400, strings.Repeat("x", 256): 200, "nothing": 200} {
		if answer, status, body := ask(t, h, key); status != want || want == 200 && answer.Records == nil || want == 400 && !strings.Contains(body, `"error"`) {
			t.Errorf("%d bytes: got %d, %s", len(key), status, body)
		}
	}
	for n := range maxWhy + 1 {
		if answer, _, _ := ask(t, h, "q"); len(answer.Records) != n || answer.More {
			t.Fatalf("got %d of %d, more %v", len(answer.Records), n, answer.More)
		}
		ring.Add(client.User(1), &record.Scan{ID: fmt.Sprint(n), Tag: "q", NotScanned: "x"})
	}
	if answer, _, _ := ask(t, h, "q"); len(answer.Records) != maxWhy || !answer.More || answer.Records[0].ID != fmt.Sprint(maxWhy) {
		t.Errorf("got %d, more %v", len(answer.Records), answer.More)
	}
}

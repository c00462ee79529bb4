package ops

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"polyclam/proxy"
	"polyclam/test/testkit"
)

const token = "correct-horse-battery-staple"

func TestAnswers(t *testing.T) {
	open, locked := newTester(t, Config{}), newTester(t, Config{Token: token})
	for _, test := range []struct {
		method, path, authorization string
		open, locked                int
	}{
		{"GET", "/livez", "", 200, 200},
		{"HEAD", "/livez", "", 200, 200},
		{"GET", "/readyz", "", 200, 200},
		{"GET", "/status.json", "", 200, 401},
		{"GET", "/status.json", "Bearer " + token, 200, 200},
		{"GET", "/status.json", "bearer  " + token, 200, 200},
		{"GET", "/status.json", "Bearer " + token + "x", 200, 401},
		{"GET", "/status.json", "Bearer " + token[1:], 200, 401},
		{"GET", "/status.json", "Bearer", 200, 401},
		{"GET", "/status.json", "Bearer ", 200, 401},
		{"GET", "/status.json", token, 200, 401},
		{"GET", "/status.json", "Token " + token, 200, 401},
		{"GET", "/status.json?token=" + token, "", 200, 401},
		{"GET", "/none", "", 404, 401},
		{"GET", "/index.html", "Bearer " + token, 404, 404},
		{"POST", "/livez", "", 405, 405},
		{"PUT", "/status.json", "Bearer " + token, 405, 405},
		{"DELETE", "/none", "", 405, 405},
		{"OPTIONS", "/", "", 405, 405},
		{"TRACE", "/", "", 405, 405},
	} {
		for ts, want := range map[*tester]int{open: test.open, locked: test.locked} {
			answer, body := ts.get(test.method, test.path, test.authorization)
			if answer.StatusCode != want {
				t.Errorf("%s %s %q: %d, want %d\n%s", test.method, test.path, test.authorization, answer.StatusCode, want, body)
			}
			wantSafe(t, answer)
			if challenge := answer.Header.Get("WWW-Authenticate"); (challenge != "") != (want == 401) {
				t.Errorf("%s %s: the challenge is %q", test.method, test.path, challenge)
			}
			if strings.Contains(body, token) {
				t.Errorf("%s %s shows the token: %s", test.method, test.path, body)
			}
		}
	}
}

// wantSafe checks the headers that every answer has.
func wantSafe(t *testing.T, answer *http.Response) {
	t.Helper()
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cache-Control": "no-store", "Server": ServerName,
	} {
		if got := answer.Header.Get(name); got != want {
			t.Errorf("%s: %s is %q, want %q", answer.Request.URL, name, got, want)
		}
	}
	if csp := answer.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
		t.Errorf("%s: the policy is %q", answer.Request.URL, csp)
	}
}

// TestBasicToken has the token as a password, as browsers send it.
func TestBasicToken(t *testing.T) {
	ts := newTester(t, Config{Token: token})
	for password, want := range map[string]int{token: 200, "": 401, token + " ": 401} {
		r := httptest.NewRequest("GET", "/status.json", nil)
		r.SetBasicAuth("anyone", password)
		answer := httptest.NewRecorder()
		ts.http.server.Handler.ServeHTTP(answer, r)
		if answer.Code != want {
			t.Errorf("password %q: %d, want %d", password, answer.Code, want)
		}
	}
}

// TestReadyz has a server that is about to stop. Its reasons are not for everyone.
func TestReadyz(t *testing.T) {
	ts := newTester(t, Config{Token: token})
	ask := func(authorization string, wantCode int) (r proxy.Readiness) {
		t.Helper()
		answer, body := ts.get("GET", "/readyz", authorization)
		if err := json.Unmarshal([]byte(body), &r); err != nil || answer.StatusCode != wantCode {
			t.Fatalf("%d, %v\n%s", answer.StatusCode, err, body)
		}
		return r
	}
	if r := ask("Bearer "+token, 200); !r.Ready || r.Slots != 4 || r.FreeSlots != 4 {
		t.Errorf("%+v", r)
	}
	ts.proxy.SetDraining(true)
	if r := ask("Bearer "+token, 503); r.Ready || !r.Draining || len(r.Reasons) != 1 {
		t.Errorf("%+v", r)
	}
	if r := ask("", 503); r.Ready || r.Draining || r.Reasons != nil || r.Slots != 0 {
		t.Errorf("without the token: %+v", r)
	}
	ts.proxy.SetDraining(false)
	ask("", 200)
}

func TestStatusJSON(t *testing.T) {
	ts := newTester(t, Config{})
	_, body := ts.get("GET", "/status.json", "")
	var got map[string]any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	for _, key := range []string{"state", "sentence", "time", "started", "readiness", "version", "nodes"} {
		if _, ok := got[key]; !ok {
			t.Errorf("there is no %q in\n%s", key, body)
		}
	}
}

// TestReload changes the token and TLS of a listener that stays.
func TestReload(t *testing.T) {
	ts := newTester(t, Config{})
	if answer, _ := ts.get("GET", "/status.json", ""); answer.StatusCode != 200 {
		t.Fatal(answer.Status)
	}
	ts.Apply(Config{HTTP: true, Token: token})
	if answer, _ := ts.get("GET", "/status.json", ""); answer.StatusCode != 401 {
		t.Errorf("with a token: %s", answer.Status)
	}
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	ts.Apply(Config{HTTP: true, TLS: &tls.Config{Certificates: certified.TLS.Certificates}})
	client := certified.Client()
	client.Transport.(*http.Transport).ForceAttemptHTTP2 = true
	for _, want := range []int{2, 1} {
		answer, err := client.Get("https://" + ts.addr + "/status.json")
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if answer.StatusCode != 200 || answer.ProtoMajor != want {
			t.Errorf("%s %s, want HTTP/%d", answer.Proto, answer.Status, want)
		}
		client.CloseIdleConnections()
		client.Transport.(*http.Transport).ForceAttemptHTTP2 = false
		client.Transport.(*http.Transport).TLSClientConfig.NextProtos = []string{"http/1.1"}
		client.Transport.(*http.Transport).TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	if !IsHTTP("tcp", ts.addr, true) {
		t.Error("IsHTTP does not recognize the server with TLS")
	}
	ts.Apply(Config{HTTP: true})
	if !IsHTTP("tcp", ts.addr, false) || IsHTTP("tcp", ts.addr, true) {
		t.Error("TLS is still in use")
	}
}

// TestPanic has a handler that panics: the connection ends, and the log has the reason.
func TestPanic(t *testing.T) {
	ts := newTester(t, Config{})
	s := httptest.NewServer(ts.safe(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("oh no") })))
	defer s.Close()
	if answer, err := http.Get(s.URL); err == nil {
		t.Errorf("answer %s", answer.Status)
	}
	testkit.Eventually(t, "a log line", func() bool { return strings.Contains(ts.log.String(), `"panic":"oh no"`) })
}

// TestASCII writes texts that could steer a terminal.
func TestASCII(t *testing.T) {
	for _, text := range []string{"plain", "</script>\"'\\", "\x1b[2J\x00\x7f\x9b", "\u202ereversed\u2028", "caf\u00e9 \U0001f600", "a\xffb"} {
		w := httptest.NewRecorder()
		writeJSON(w, 200, map[string]string{text: text})
		for _, c := range w.Body.Bytes() {
			if c != '\n' && (c < ' ' || c > '~') {
				t.Errorf("%q is written as %q", text, w.Body)
				break
			}
		}
		var got map[string]string
		want := strings.ToValidUTF8(text, "\ufffd")
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got[want] != want {
			t.Errorf("%q is read as %q, %v", text, got, err)
		}
	}
}

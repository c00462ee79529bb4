package kse

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/wire/wiretest"
)

// results are the fake's results for each category: those of the manual, except for names.
var results = map[backends.Category][2]string{
	backends.OK:         {"CLEAN", ""},
	backends.Virus:      {"DETECT", "EICAR-Test-File"},
	backends.Suspicious: {"CLEAN AND CONTAINS OFFICE MACRO", ""},
	backends.Encrypted:  {"NON_SCANNED (PASSWORD PROTECTED)", ""},
	backends.Partial:    {"NON_SCANNED (CORRUPTED)", ""},
	backends.SWErr:      {"SERVER_ERROR", ""},
}

// fakeEngine is a kavhttpd that answers by [backendtest.Marked]. A request that is not in
// the manual fails the test.
type fakeEngine struct{ t *testing.T }

func (f fakeEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Server", "KAVHTTPD/1.0")
	h.Set("Content-Type", "text/plain")
	h.Set("Connection", "close")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client ended its scan
	}
	if int64(len(body)) != r.ContentLength {
		f.t.Errorf("%d bytes, %d announced", len(body), r.ContentLength)
	}
	switch r.URL.Path {
	case "/scanmemory", "/scanfile":
		f.version1(w, r, body)
	case "/api/v3.0/scanmemory", "/api/v3.0/scanfile", "/api/v3.1/scanmemory":
		f.version3(w, r, body)
	case "/version":
		io.WriteString(w, "KAV SDK version: 8.8.0.80\r\n") // the manual's, 193007
	case "/basesdate":
		io.WriteString(w, "database version: 9.02.2014 15:03 GMT\r\n") // the manual's, 181082
	case "/api/v3.0/version":
		io.WriteString(w, "{\n\"KAVSDKVersion\": \"8.8.2.58\"\n}") // the manual's, 193007
	case "/api/v3.0/basesdate":
		io.WriteString(w, "{\n\"databaseVersion\": \"30.01.2019 15:03 GMT\"\n}")
	default:
		http.Error(w, "Not Found", http.StatusNotFound)
	}
}

func (f fakeEngine) version1(w http.ResponseWriter, r *http.Request, body []byte) {
	if n, err := strconv.Atoi(r.Header.Get("X-KAV-Timeout")); err != nil || n < 1 || r.Proto != "HTTP/1.0" || r.Header.Get("X-KAV-ProtocolVersion") != "1" {
		f.t.Errorf("%s, head %v", r.Proto, r.Header)
	}
	text := results[f.marked(r.URL.Path == "/scanfile", body)]
	w.Header().Set("X-KAV-ProtocolVersion", "1")
	if text[1] != "" {
		text[0] += " " + text[1]
	}
	fmt.Fprintf(w, "%s\r\n", text[0])
}

func (f fakeEngine) version3(w http.ResponseWriter, r *http.Request, body []byte) {
	var request struct {
		Timeout string `json:"timeout"`
		Object  any    `json:"object"`
	}
	var object struct{ Object []byte }
	if err := json.Unmarshal(body, &request); err != nil || request.Timeout == "" {
		f.t.Errorf("%.200q: %v", body, err)
	}
	about, scanned := "memory", []byte(nil)
	isFile := r.URL.Path == "/api/v3.0/scanfile"
	if isFile {
		about, _ = request.Object.(string)
		scanned = []byte(about)
	} else if err := json.Unmarshal(body, &object); err != nil {
		f.t.Errorf("%.200q: %v", body, err)
	} else {
		scanned = object.Object
	}
	text := results[f.marked(isFile, scanned)]
	answer := map[string]string{"object": about, "scanResult": text[0], "containsOfficeMacro": "false"}
	if text[0] == "CLEAN AND CONTAINS OFFICE MACRO" {
		answer["scanResult"], answer["containsOfficeMacro"] = "CLEAN", "true"
	}
	if text[1] != "" {
		answer["detectionName"] = text[1]
	}
	w.Header().Set("X-KAV-ProtocolVersion", "3")
	reply, err := json.Marshal(answer)
	if err != nil {
		f.t.Error(err)
	}
	w.Write(reply)
}

// marked returns the category of an object, or of the file with its path.
func (f fakeEngine) marked(isFile bool, object []byte) backends.Category {
	if isFile {
		data, err := os.ReadFile(string(object))
		if err != nil {
			f.t.Error(err)
		}
		object = data
	}
	return backendtest.Marked(object)
}

// start starts the fake on network "tcp" or "unix", and returns its address.
func start(t *testing.T, network string) string {
	t.Helper()
	return wiretest.HTTP(t, network, fakeEngine{t})
}

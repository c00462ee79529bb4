package httpscan

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/wire/wiretest"
)

// names are the names of the fakes' findings, as in clamd.
var names = map[backends.Category]string{
	backends.Virus:      "Eicar-Test-Signature",
	backends.Suspicious: "Heuristics.OLE2.ContainsMacros",
	backends.Encrypted:  "Heuristics.Encrypted.Zip",
	backends.Partial:    "Heuristics.Limits.Exceeded.MaxFiles",
}

// upload returns the only file in a form, as the services do.
func upload(t *testing.T, r *http.Request, field string) ([]byte, string) {
	m, err := r.MultipartReader()
	if err != nil {
		t.Errorf("not a form: %v", err)
		return nil, ""
	}
	var data []byte
	name, parts := "", 0
	for {
		part, err := m.NextPart()
		if err == io.EOF && parts == 1 {
			return data, name
		}
		if err != nil {
			return nil, "" // the client ended its scan
		}
		if parts++; part.FormName() != field || part.FileName() == "" || parts > 1 {
			t.Errorf("part %d is %q", parts, part.Header)
		}
		name = part.FileName()
		if data, err = io.ReadAll(part); err != nil {
			return nil, ""
		}
	}
}

// rest answers like clamav-rest (ajilach, 2025), see its clamrest.go.
func rest(t *testing.T) http.Handler {
	mux := http.NewServeMux()
	answerTo := func(data []byte) (status int, word, text string) {
		switch c := backendtest.Marked(data); c {
		case backends.OK:
			return 200, "OK", ""
		case backends.SWErr:
			return 400, "ERROR", "Can't allocate memory"
		default:
			return 406, "FOUND", names[c]
		}
	}
	mux.HandleFunc("POST /v2/scan", func(w http.ResponseWriter, r *http.Request) {
		data, name := upload(t, r, "file")
		status, word, text := answerTo(data)
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		body, _ := json.Marshal([]map[string]string{{"Status": word, "Description": text, "FileName": name}})
		w.Write(body)
	})
	mux.HandleFunc("POST /scanHandlerBody", func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		status, word, text := answerTo(data)
		w.WriteHeader(status)
		fmt.Fprint(w, struct {
			Status, Description, FileName string
			httpStatus                    int
		}{word, text, "", status})
	})
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{ "Clamav": "1.4.2", "Signature": "27500" , "Signature_date": "Mon Nov 23 08:00:00 2026" }`)
	})
	return mux
}

// restAPI answers like clamav-rest-api (benzino77), see its routes/scan.js and version.js.
func restAPI(t *testing.T) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/scan", func(w http.ResponseWriter, r *http.Request) {
		data, name := upload(t, r, "FILES")
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		c := backendtest.Marked(data)
		if c == backends.SWErr {
			w.WriteHeader(500)
			io.WriteString(w, `{"success":false,"data":{"error":"connect ECONNREFUSED 127.0.0.1:3310"}}`)
			return
		}
		viruses := []string{}
		if c != backends.OK {
			viruses = append(viruses, names[c])
		}
		body, _ := json.Marshal(map[string]any{"success": true, "data": map[string]any{
			"result": []any{map[string]any{"name": name, "is_infected": c != backends.OK, "viruses": viruses}},
		}})
		w.Write(body)
	})
	mux.HandleFunc("GET /api/v1/version", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"success":true,"data":{"version":"ClamAV 1.4.2/27500/Mon Nov 23 08:00:00 2026"}}`)
	})
	return mux
}

// start starts a service on network "tcp" or "unix", and returns its address.
func start(t *testing.T, network string, h http.Handler) string {
	t.Helper()
	return wiretest.HTTP(t, network, h)
}

package fprot

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
)

// An OldBackend scans with one f-protd of F-PROT 4. It is safe for concurrent use.
type OldBackend struct {
	clients []*engineconn.Client // one for each port
	query   string               // the options, escaped
}

var _ backends.Backend = (*OldBackend)(nil)

// errStranger means that another server answers on a port.
var errStranger = errors.New("not an f-protd")

// ReadsPaths implements [backends.PathReader].
func (*OldBackend) ReadsPaths() bool { return true }

// Scan implements [backends.Backend]. f-protd reads the file itself. If no port has an
// f-protd, the error is the first port's.
func (b *OldBackend) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	var first error
	for _, client := range b.clients {
		r, err := client.ScanPath(ctx, o, b.ask)
		elsewhere := errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, errStranger)
		if !elsewhere || ctx.Err() != nil {
			return r, err
		}
		if first == nil {
			first = err
		}
	}
	return backends.Result{}, first
}

func (b *OldBackend) ask(conn *engineconn.Conn, a *backends.Answer, path string) error {
	if err := conn.Command("GET " + path + "?" + b.query + " HTTP/1.0\n\n"); err != nil {
		return err
	}
	if err := readHeader(conn); err != nil {
		return err
	}
	body, err := io.ReadAll(io.LimitReader(conn, maxBody+1))
	if err != nil {
		return err
	}
	if len(body) > maxBody {
		return fmt.Errorf("an answer of more than %d bytes", maxBody)
	}
	conn.NoReuse()
	return parseResults(body, path, a)
}

// Limits on an answer of f-protd.
const (
	maxBody    = 1 << 20
	maxHeaders = 100
)

var statusPattern = regexp.MustCompile(`^HTTP/1\.[01] 200( .*)?$`)

// readHeader reads the header and the empty line after it.
func readHeader(conn *engineconn.Conn) error {
	text, err := conn.Line()
	if err != nil {
		return err
	}
	if !statusPattern.MatchString(text) {
		return fmt.Errorf("%w: %.200q", errStranger, text)
	}
	for range maxHeaders {
		text, err := conn.Line()
		if err != nil || text == "" {
			return err
		}
		key, value, _ := strings.Cut(text, ":")
		if strings.EqualFold(key, "Server") && !strings.HasPrefix(strings.TrimSpace(value), "fprotd") {
			return fmt.Errorf("%w: %.200q", errStranger, text)
		}
	}
	return fmt.Errorf("more than %d lines of header", maxHeaders)
}

// summaries maps f-protd's codes to categories, see man f-protd.
var summaries = map[int]backends.Category{
	0:  backends.SWErr, // not scanned
	1:  backends.SWErr, // I/O error
	2:  backends.SWErr, // out of memory
	3:  backends.Partial,
	4:  backends.Encrypted,
	5:  backends.Interrupted,
	7:  backends.OK, // "innocent"
	9:  backends.OK,
	11: backends.Virus,
	13: backends.Virus, // disinfected
}

// results are the parts of an answer that matter for the verdict.
type results struct {
	XMLName  xml.Name `xml:"fprot-results"`
	Version  string   `xml:"version,attr"`
	Files    []string `xml:"filename"`
	Detected []struct {
		Names   []string `xml:"name"`
		Message string   `xml:"message"`
	} `xml:"detected"`
	Errors    []string `xml:"error"`
	Summaries []struct {
		Code string `xml:"code,attr"`
		Text string `xml:",chardata"`
	} `xml:"summary"`
}

// parseResults adds an answer about path.
func parseResults(body []byte, path string, a *backends.Answer) error {
	var r results
	// Member names may be in any character set; everything else is ASCII.
	body = bytes.ToValidUTF8(body, []byte("?"))
	d := xml.NewDecoder(bytes.NewReader(body))
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	if err := d.Decode(&r); err != nil {
		return fmt.Errorf("the answer is not complete XML: %.200q", body)
	}
	if rest := bytes.TrimSpace(body[min(int(d.InputOffset()), len(body)):]); len(rest) > 0 {
		return fmt.Errorf("unexpected %.100q after the answer", rest)
	}
	if r.Version != "1.0" || len(r.Summaries) == 0 {
		return fmt.Errorf("unexpected answer: version %.20q, %d summaries", r.Version, len(r.Summaries))
	}
	for _, f := range r.Files {
		if strings.TrimSpace(f) != path {
			return fmt.Errorf("unexpected answer about %.200q, not %q", f, path)
		}
	}
	return r.collect(a)
}

// collect adds everything in the answer.
func (r *results) collect(a *backends.Answer) error {
	code := backends.NoCode // of detections, which have no code
	for _, s := range r.Summaries {
		if n, err := strconv.Atoi(s.Code); err == nil && summaries[n] == backends.Virus {
			code = n
		}
	}
	for _, d := range r.Detected {
		if len(d.Names) == 0 {
			a.Add(backends.Virus, code, d.Message)
		}
		for _, name := range d.Names {
			a.Found(backends.Virus, code, strings.TrimSpace(name), d.Message)
		}
	}
	for _, text := range r.Errors {
		if text = strings.TrimSpace(text); text != "" {
			a.Add(backends.SWErr, backends.NoCode, text)
		}
	}
	for _, s := range r.Summaries {
		n, err := strconv.Atoi(s.Code)
		category, ok := summaries[n]
		switch {
		case err != nil || !ok:
			return fmt.Errorf("unexpected summary %.20q, %.200q", s.Code, s.Text)
		case category == backends.Virus && len(r.Detected) > 0: // already added with its names
		default:
			a.Add(category, n, strings.TrimSpace(s.Text))
		}
	}
	return nil
}

package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"html/template"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

//go:embed page.js
var pageJS string

// maxPage bounds the size of the page. What is on it is bounded too, so that this is for
// surprises.
const maxPage = 4 << 20

var errLarge = errors.New("the page is too large")

// securityPolicy is the page's Content-Security-Policy: its own style and script, and questions to
// its own server.
var securityPolicy = "default-src 'none'; style-src " + hash(pageCSS) + "; script-src " + hash(pageJS) +
	"; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// The style and the script are added as they are: the template would drop their comments,
// and then the hashes would be wrong.
var document = template.Must(template.New("page").Funcs(template.FuncMap{
	"style":  func() template.HTML { return template.HTML("<style>" + pageCSS + "</style>") },
	"script": func() template.HTML { return template.HTML("<script>" + pageJS + "</script>") },
}).Parse(pageHTML))

// execute renders a view.
func execute(v *view) ([]byte, error) {
	var b bytes.Buffer
	if err := document.Execute(&limited{&b}, v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// limited is a buffer for at most [maxPage] bytes.
type limited struct{ *bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxPage {
		return 0, errLarge
	}
	return l.Buffer.Write(p)
}

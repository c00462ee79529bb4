package icap

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"polyclam/backends"
)

// Hints for the administrator.
const (
	hintService = "is the key service correct?"
	hintMethod  = "is the key method correct?"
	hintAccess  = "the server refuses access: see its access list, and the key headers"
	hintLicence = "the scanner has no licence"
	hintRequest = "the server refuses the request: does it need a file name? see url and file_name_header"
	hintPage    = "if this is how it blocks, see http_statuses"
)

// row is what a status means without further information.
type row struct {
	category backends.Category
	hint     string
}

// statuses is the table of ICAP statuses. Any other is a failure, except 200 and 206,
// which contain an HTTP response, and 204, which is clean.
var statuses = map[int]row{
	400: {backends.SWErr, hintRequest}, // Trend: Bad request
	401: {backends.CannotExecute, hintAccess},
	403: {backends.SWErr, hintAccess},
	404: {backends.SWErr, hintService}, // c-icap 0.5.10: Service not found
	405: {backends.SWErr, hintMethod},  // ESET: Forbidden
	407: {backends.CannotExecute, hintAccess},
	408: {backends.Interrupted, ""},
	413: {backends.Partial, ""}, // as in HTTP
	418: {backends.SWErr, ""},   // McAfee: Bad composition
	500: {backends.SWErr, ""},   // c-icap 0.5.10 when its clamd is dead
	501: {backends.SWErr, hintMethod},
	502: {backends.SWErr, ""},
	503: {backends.CannotExecute, ""}, // its limit of connections
	505: {backends.SWErr, ""},
	539: {backends.SWErr, hintLicence}, // Symantec: Aborted - No AV scanning license
}

// pages is the table of HTTP statuses of a page that replaces the object. Any other is a
// failure, since no product documents it as a block. 200 contains the object;
// redirect_is_threat decides about 3xx.
var pages = map[int]row{
	400: {backends.SWErr, hintRequest}, // Trend: no file name
	401: {backends.CannotExecute, hintAccess},
	403: {backends.Virus, ""}, // c-icap, Kaspersky, McAfee, Trend, ...
	407: {backends.CannotExecute, hintAccess},
	408: {backends.Interrupted, ""},
	429: {backends.CannotExecute, ""},
	500: {backends.SWErr, ""}, // Trend: scan error, but see explain
	503: {backends.CannotExecute, ""},
}

// errorCodes maps the values of X-Error-Code and the codes in Trend's pages, which give
// the reason for a missing verdict. Any other code is a failure.
var errorCodes = map[string]backends.Category{
	// Symantec Content Analysis, as in icap_error_code of ProxySG's policy language.
	"password_protected":          backends.Encrypted,
	"decode_error":                backends.Partial,
	"max_archive_layers_exceeded": backends.Partial,
	"max_file_size_exceeded":      backends.Partial,
	"max_total_size_exceeded":     backends.Partial,
	"max_total_files_exceeded":    backends.Partial,
	"file_type_blocked":           backends.Suspicious,
	"file_extension_blocked":      backends.Suspicious,
	"scan_timeout":                backends.Interrupted,
	"request_timeout":             backends.Interrupted,
	"server_unavailable":          backends.CannotExecute,
	// Trend: Too many files in the zip.
	"-69": backends.Partial,
}

// judgeStatus adds an ICAP status other than 200, 204 and 206.
func (b *Backend) judgeStatus(v *verdict, start string, status int) {
	v.finish()
	if status == 500 && v.explained {
		return
	}
	r, ok := b.statuses[status]
	if !ok {
		r.category = backends.SWErr
	}
	text := explain(start, r.hint)
	switch {
	case status == 413 && r.category == backends.Partial:
		v.answer.Refuse(status, text)
	case r.category == backends.Virus, r.category == backends.Suspicious:
		v.found(r.category, blockedName, text)
	case r.category.IsFailure():
		v.failed(status, r.category, text)
	default:
		v.add(r.category, text)
	}
}

// judgePage adds a page with a status other than 200. A field with the reason overrides
// the status, unless that is a server error.
func (b *Backend) judgePage(v *verdict, m *message, text string) {
	r, ok := b.pages[m.status]
	switch {
	case !ok && m.status >= 300 && m.status < 400 && b.config.RedirectIsThreat: // squidclamav: 307 to a page
		r.category = backends.Virus
	case !ok && m.status >= 400 && m.status < 500 && v.decided, m.status >= 500 && v.explained:
		return
	case !ok && m.status >= 500:
		r.category = backends.SWErr
	case !ok && m.status >= 400 && v.blocked:
		r.category = backends.Suspicious
	case !ok:
		r = row{backends.SWErr, hintPage}
	}
	detail := m.start
	for _, more := range []string{v.described, text} {
		if more != "" {
			detail += ": " + cut(more, maxDetail/4)
		}
	}
	detail = explain(detail, r.hint)
	switch {
	case r.category.IsFailure():
		v.decided = true
		v.failed(m.status, r.category, "a page instead of the object: "+detail)
	case v.decided:
	case r.category == backends.Virus, r.category == backends.Suspicious:
		v.found(r.category, blockedName, detail)
	default:
		v.add(r.category, detail)
	}
}

// withStatuses returns a copy of table with the configured entries added.
func withStatuses(key string, table map[int]row, entries map[string]string, hasOwn func(status int) bool) (map[int]row, error) {
	table = maps.Clone(table)
	var errs []error
	for _, text := range sortedKeys(entries) {
		status, err := strconv.Atoi(text)
		if err != nil || status < 200 || status > 599 || len(text) != 3 {
			errs = append(errs, backends.KeyErrorf(key, "%q is not a status from 200 to 599", text))
		} else if hasOwn(status) {
			errs = append(errs, backends.KeyErrorf(key+"."+text, "cannot be mapped: the rest of the answer says what it means"))
		}
		c, err := category(key, text, entries[text])
		errs = append(errs, err)
		table[status] = row{category: c}
	}
	return table, errors.Join(errs...)
}

var codeForm = regexp.MustCompile(`^(?:[a-z0-9_]{1,100}|-[0-9]{1,4})$`)

// withCodes returns a copy of errorCodes with the configured entries added.
func withCodes(key string, entries map[string]string) (map[string]backends.Category, error) {
	table := maps.Clone(errorCodes)
	var errs []error
	for _, code := range sortedKeys(entries) {
		if !codeForm.MatchString(code) {
			errs = append(errs, backends.KeyErrorf(key, `%q is not an error code; write one such as "decode_error" or "-69"`, code))
		}
		c, err := category(key, code, entries[code])
		errs = append(errs, err)
		table[code] = c
	}
	return table, errors.Join(errs...)
}

// category parses a configured category. No entry may be ok, because none of these
// answers is a clean verdict.
func category(key, entry, text string) (backends.Category, error) {
	c := backends.Category(text)
	switch {
	case !c.Valid():
		all := slices.DeleteFunc(backends.Categories(), func(c backends.Category) bool { return c == backends.OK })
		return c, backends.OneOf(key+"."+entry, c, all...)
	case c == backends.OK:
		return c, backends.KeyErrorf(key+"."+entry, "must not be %q: a refusal or failure never says that an object is clean", text)
	}
	return c, nil
}

package httpscan

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"polyclam/backends"
	"polyclam/backends/internal/wire"
)

// maxBody limits the body of an answer.
const maxBody = 256 << 10

// Config holds the keys of an httpscan engine.
type Config struct {
	wire.Options
	// Flavour is the service: "clamav-rest" (ajilach), "clamav-rest-api" (benzino77), or
	// "custom". Each flavour has its own defaults for the keys below.
	Flavour string `toml:"flavour"`
	// Method and Path are the request line of a scan.
	Method string `toml:"method"`
	Path   string `toml:"path"`
	// Request is "multipart", a form with one file, or "raw", only the object.
	Request string `toml:"request"`
	// Field is the name of the form's field.
	Field string `toml:"field"`
	// FileName is used for an object without a name. FileNameHeader is an additional
	// field with the name: Content-Disposition, as in RFC 6266, or any other field,
	// percent-encoded.
	FileName       string `toml:"file_name"`
	FileNameHeader string `toml:"file_name_header"`
	// ContentType is the type of the object.
	ContentType string `toml:"content_type"`
	// Statuses maps an HTTP status to a category, or to "body" if the body decides.
	Statuses map[string]string `toml:"statuses"`
	// AnswerPath (keys and indices of JSON, "data.result.0.is_infected") or AnswerRegex
	// (RE2, its last group) finds the word in a body that Answers maps to a category.
	// An index in AnswerPath matches every element of its list. For OK, AnswerRegex
	// must match the whole body.
	AnswerPath  string            `toml:"answer_path"`
	AnswerRegex string            `toml:"answer_regex"`
	Answers     map[string]string `toml:"answers"`
	// NamePath or NameRegex finds the name of a finding, or a list of names.
	NamePath  string `toml:"name_path"`
	NameRegex string `toml:"name_regex"`
	// VersionPath is the request path for the version. VersionKey is where a JSON
	// answer has the version; without it, the whole text is the version.
	VersionPath string `toml:"version_path"`
	VersionKey  string `toml:"version_key"`
}

// NewConfig returns the defaults.
func NewConfig() backends.Config {
	return &Config{Options: wire.DefaultOptions(), Flavour: flavourRest}
}

// Open implements [backends.Config]. The backend is a *[Backend].
func (c *Config) Open(address string) (backends.Backend, error) { return c.OpenAt(address, "") }

// OpenAt implements [backends.HostConfig].
func (c *Config) OpenAt(address, host string) (backends.Backend, error) {
	s, err := c.service()
	client, err2 := c.Options.Client("httpscan", "tcp:127.0.0.1:9000", address, host, maxBody)
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	return &Backend{address: address, service: s, client: client}, nil
}

var (
	method = regexp.MustCompile(`^[A-Z]{1,20}$`)
	// quoted matches a text that needs no escaping within quotes.
	quoted    = regexp.MustCompile(`^[A-Za-z0-9._ \[\]-]{1,100}$`)
	mediaType = regexp.MustCompile(`^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(?:; ?[A-Za-z0-9-]+=[A-Za-z0-9._-]+)*$`)
)

// service returns the flavour with the configured changes.
func (c *Config) service() (service, error) {
	s, ok := flavour(c.Flavour, c.Request)
	if !ok {
		return s, backends.OneOf("flavour", c.Flavour, flavourNames()...)
	}
	for _, k := range []struct {
		value string
		to    *string
	}{
		{c.Method, &s.method}, {c.Path, &s.path}, {c.Field, &s.field}, {c.FileName, &s.fileName},
		{c.FileNameHeader, &s.fileNameHeader}, {c.ContentType, &s.contentType}, {c.VersionPath, &s.version},
	} {
		if k.value != "" {
			*k.to = k.value
		}
	}
	if c.VersionPath != "" || c.VersionKey != "" {
		s.versionAt = extractor{path: c.VersionKey}
	}
	errs := append(s.check(), c.addStatuses(&s), c.addAnswers(&s))
	var err error
	s.answer, err = extraction("answer", c.AnswerPath, c.AnswerRegex, s.answer)
	errs = append(errs, err)
	if c.AnswerPath != "" || c.AnswerRegex != "" {
		s.must, s.strict = nil, false
	}
	if c.NamePath != "" || c.NameRegex != "" {
		s.strict = false
	}
	s.name, err = extraction("name", c.NamePath, c.NameRegex, s.name)
	return s, errors.Join(append(errs, err, s.complete())...)
}

func (s *service) check() (errs []error) {
	if !method.MatchString(s.method) || s.method == "GET" || s.method == "HEAD" || s.method == "CONNECT" {
		errs = append(errs, backends.KeyErrorf("method", `must be "POST" or "PUT", not %q`, s.method))
	}
	errs = append(errs, backends.OneOf("request", s.request, requestRaw, requestMultipart), wire.CheckTarget("path", s.path))
	if s.version != "" {
		errs = append(errs, wire.CheckTarget("version_path", s.version))
	}
	if !quoted.MatchString(s.field) {
		errs = append(errs, backends.KeyErrorf("field", "%q is not the name of a form field; write letters, digits and ._-[]", s.field))
	}
	errs = append(errs, wire.CheckFileName("file_name", s.fileName), wire.CheckNameField("file_name_header", s.fileNameHeader))
	if !mediaType.MatchString(s.contentType) {
		errs = append(errs, backends.KeyErrorf("content_type", `%q is not a media type; write one such as "application/octet-stream"`, s.contentType))
	}
	return errs
}

func (c *Config) addStatuses(s *service) error {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(c.Statuses)) {
		meaning := c.Statuses[key]
		status, err := strconv.Atoi(key)
		if err != nil || status < 200 || status > 599 || len(key) != 3 {
			errs = append(errs, backends.KeyErrorf("statuses", "%q is not an HTTP status from 200 to 599", key))
		}
		if meaning != fromBody && !backends.Category(meaning).Valid() {
			errs = append(errs, backends.OneOf("statuses."+key, backends.Category(meaning), append(backends.Categories(), fromBody)...))
		}
		if status >= 300 && meaning == string(backends.OK) {
			errs = append(errs, backends.KeyErrorf("statuses."+key, "must not be \"ok\": a redirect, refusal or failure never says that an object is clean; only 200 to 299 can be ok"))
		}
		if s.statuses == nil {
			s.statuses = map[int]string{}
		}
		s.statuses[status] = meaning
		if status == 413 {
			s.tooLarge = 0 // the site knows its service
		}
	}
	return errors.Join(errs...)
}

func (c *Config) addAnswers(s *service) error {
	var errs []error
	for _, word := range slices.Sorted(maps.Keys(c.Answers)) {
		errs = append(errs, backends.OneOf("answers."+word, backends.Category(c.Answers[word]), backends.Categories()...))
	}
	if c.Answers != nil {
		s.answers = c.Answers
	}
	return errors.Join(errs...)
}

// complete returns an error for missing keys.
func (s *service) complete() error {
	if len(s.statuses) == 0 {
		return backends.KeyErrorf("statuses", `is missing; write what each status means, for example { "200" = "ok", "406" = "virus" }`)
	}
	for _, meaning := range s.statuses {
		if meaning == fromBody && (s.answer.none() || len(s.answers) == 0) {
			return backends.KeyErrorf("statuses", `"body" needs answer_path or answer_regex, and answers`)
		}
	}
	return nil
}

// extraction returns the extractor of two keys, or the flavour's own.
func extraction(what, path, re string, own extractor) (extractor, error) {
	switch {
	case path != "" && re != "":
		return own, backends.KeyErrorf(what+"_regex", "only one of %s_path and %s_regex can be set; delete the other", what, what)
	case path != "":
		return extractor{path: path}, nil
	case re == "":
		return own, nil
	}
	e, err := expression(re)
	if err != nil {
		return own, &backends.KeyError{Key: what + "_regex", Err: err}
	}
	return e, nil
}

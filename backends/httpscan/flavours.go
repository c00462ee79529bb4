package httpscan

import (
	"crypto/rand"
	"maps"
	"slices"

	"polyclam/backends/internal/wire"
)

// The values of the key flavour.
const (
	flavourRest    = "clamav-rest"
	flavourRestAPI = "clamav-rest-api"
	flavourCustom  = "custom"
)

// The values of the key request.
const (
	requestRaw       = "raw"
	requestMultipart = "multipart"
)

// fromBody is the entry for a status that leaves the decision to the body.
const fromBody = "body"

// tooLargeText is clamd's answer to a stream over its StreamMaxLength, which clamav-rest
// passes on with a failure status.
const tooLargeText = "INSTREAM size limit exceeded. ERROR"

// smallest is a size that no clamd refuses as too large: the default of StreamMaxLength
// is at least 25 MiB.
const smallest = 1 << 20

// restStatuses are the statuses of clamav-rest: getHttpStatusByClamStatus and scanner in
// its clamrest.go.
var restStatuses = map[int]string{
	200: fromBody,
	400: "swerr",  // clamd answered ERROR
	406: fromBody, // FOUND; a proxy may send a 406 too
	412: "swerr",  // clamd's reply could not be parsed; but see tooLargeText
	413: "partial",
	422: "swerr", // no file name in the part
	500: "swerr",
	501: "swerr", // unknown reply of clamd
}

// flavours are the tables of known services.
var flavours = map[string]service{
	// https://github.com/ajilach/clamav-rest, port 9000, TLS on 9443.
	flavourRest: {
		path: "/v2/scan", request: requestMultipart, field: "file",
		statuses: restStatuses,
		answer:   extractor{path: "0.Status"},
		answers:  map[string]string{"OK": "ok", "FOUND": "virus"},
		name:     extractor{path: "0.Description"},
		strict:   true,
		why:      extractor{path: "0.Description"},
		tooLarge: smallest,
		version:  "/version", versionAt: extractor{path: "Clamav"},
	},
	// https://github.com/benzino77/clamav-rest-api, port 3000.
	flavourRestAPI: {
		path: "/api/v1/scan", request: requestMultipart, field: "FILES",
		statuses: map[int]string{200: fromBody, 400: "swerr", 413: "partial", 500: "swerr"},
		answer:   extractor{path: "data.result.0.is_infected"},
		answers:  map[string]string{"false": "ok", "true": "virus"},
		must:     map[string]string{"success": "true"},
		name:     extractor{path: "data.result.0.viruses"},
		strict:   true,
		version:  "/api/v1/version", versionAt: extractor{path: "data.version"},
	},
	// Any other service: everything is configured.
	flavourCustom: {path: "/", request: requestRaw, field: "file"},
}

// restRaw is the difference with request "raw": clamav-rest answers with a struct as
// printed by Go, {FOUND Eicar-Test-Signature  406}.
var restRaw = service{
	path:    "/scanHandlerBody",
	answer:  mustExpression(`\{(OK) +200\}|\{(FOUND|ERROR|PARSE ERROR)\b`),
	answers: map[string]string{"OK": "ok", "FOUND": "virus"},
	name:    mustExpression(`\{FOUND (.+?) +406\}`),
	why:     mustExpression(`^\{PARSE ERROR (.+?) +412\}$`),
}

// flavour returns a copy of the tables of a service, or false if it is unknown.
func flavour(name, request string) (service, bool) {
	s, ok := flavours[name]
	s.method, s.fileName, s.contentType = "POST", wire.NeutralName, "application/octet-stream"
	s.statuses, s.answers = maps.Clone(s.statuses), maps.Clone(s.answers)
	if request != "" {
		s.request = request
	}
	if name == flavourRest && request == requestRaw {
		s.path, s.answer, s.name, s.why = restRaw.path, restRaw.answer, restRaw.name, restRaw.why
		s.answers = maps.Clone(restRaw.answers)
	}
	return s, ok
}

func flavourNames() []string { return slices.Sorted(maps.Keys(flavours)) }

// newBoundary returns an unpredictable boundary. An object that contained a predictable
// one would end its part early, and the rest would not be scanned.
func newBoundary() string { return "polyclam-" + rand.Text() }

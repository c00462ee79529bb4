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

// fromBody is the value in a table of statuses for: the body says it.
const fromBody = "body"

// tooLargeText is clamd's answer to a stream over its StreamMaxLength, which
// clamav-rest passes on with a status of failure.
const tooLargeText = "INSTREAM size limit exceeded. ERROR"

// smallest is the size below which no clamd refuses an object as too large: its
// StreamMaxLength is 25 MiB or more where nobody has set it.
const smallest = 1 << 20

// restStatuses are those of clamav-rest: getHttpStatusByClamStatus and scanner in its
// clamrest.go.
var restStatuses = map[int]string{
	200: fromBody,
	400: "swerr",  // clamd said ERROR
	406: fromBody, // FOUND; a proxy may send a 406 too
	412: "swerr",  // clamd's reply could not be parsed; but see tooLargeText
	413: "partial",
	422: "swerr", // no name of a file in the part
	500: "swerr",
	501: "swerr", // clamd's reply is of no known kind
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
	// A service that is not known: everything is configuration.
	flavourCustom: {path: "/", request: requestRaw, field: "file"},
}

// restRaw is what is different when clamav-rest is sent the bare object: it answers
// with a struct as Go prints it, {FOUND Eicar-Test-Signature  406}.
var restRaw = service{
	path:    "/scanHandlerBody",
	answer:  mustExpression(`\{(OK) +200\}|\{(FOUND|ERROR|PARSE ERROR)\b`),
	answers: map[string]string{"OK": "ok", "FOUND": "virus"},
	name:    mustExpression(`\{FOUND (.+?) +406\}`),
	why:     mustExpression(`^\{PARSE ERROR (.+?) +412\}$`),
}

// flavour returns a copy of the tables of a service, false if it is not known.
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

// newBoundary makes a boundary that cannot be guessed: in an object it would end the
// part, and what follows would not be scanned.
func newBoundary() string { return "polyclam-" + rand.Text() }

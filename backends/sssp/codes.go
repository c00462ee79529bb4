package sssp

import (
	"strconv"
	"strings"

	"polyclam/backends"
)

// codes maps SAVI's result codes to categories. They are the low 16 bits of the numbers
// in Sophos' savierr.h, as OK, FAIL and DONE lines print them. Any other code is SWErr.
var codes = []struct {
	code     int
	category backends.Category
	text     string
	hint     string
}{
	{codeOK, backends.OK, "the function call succeeded", ""},
	{codeVirus, backends.Virus, "virus found during virus scan", ""},
	{codeEncrypted, backends.Encrypted, "file was encrypted", ""},
	// A success: everything was scanned, with old data. L7tech reads it that way, too.
	{codeOldData, backends.OK, "virus data is old", ""},

	{0x020F, backends.Partial, "not supported", ""},
	{0x0211, backends.Partial, "file is compressed", ""},
	{0x021A, backends.Partial, "file is corrupt", ""},
	{0x0225, backends.Partial, "part of a multi-volume archive", ""},
	{0x0231, backends.Partial, "scan aborted: looks like a zip bomb", ""},

	{0x060F, backends.Interrupted, "scan terminated due to timeout", ""},

	{0x0200, backends.SWErr, "initialising", ""},
	{0x0201, backends.SWErr, "terminating", ""},
	{0x0202, backends.SWErr, "sweep failure", ""},
	{0x0204, backends.SWErr, "not initialised", ""},
	{0x0208, backends.SWErr, "disinfection failed", ""},
	{0x0209, backends.SWErr, "disinfection unavailable", ""},
	{0x020B, backends.SWErr, "not installed", ""},
	{0x0210, backends.SWErr, "could not open item", hintOpen},
	// Already initialised, stub, buffer, callback, re-entrancy, partial information,
	// temporary directory, virus data missing or invalid or its checksum wrong,
	// stream read, write or seek.
	{0x0213, backends.SWErr, "internal error", ""},
	{0x0214, backends.SWErr, "internal error", ""},
	{0x0215, backends.SWErr, "internal error", ""},
	{0x0216, backends.SWErr, "internal error", ""},
	{0x0217, backends.SWErr, "internal error", ""},
	{0x0218, backends.SWErr, "internal error", ""},
	{0x0219, backends.SWErr, "internal error", ""},
	{0x021B, backends.SWErr, "internal error", ""},
	{0x021C, backends.SWErr, "internal error", ""},
	{0x021D, backends.SWErr, "internal error", ""},
	{0x021F, backends.SWErr, "internal error", ""},
	{0x0220, backends.SWErr, "internal error", ""},
	{0x0221, backends.SWErr, "internal error", ""},
	{0x0222, backends.SWErr, "internal error", ""},
	{0x0223, backends.SWErr, "internal error", ""},
	{0x0224, backends.SWErr, "internal error", ""},
	{0x0226, backends.SWErr, "internal error", ""},
	{0x0227, backends.SWErr, "internal error", ""},
	{0x0228, backends.SWErr, "internal error", ""},
	{0x0229, backends.SWErr, "internal error", ""},
	{0x022A, backends.SWErr, "internal error", ""},
	{0x022B, backends.SWErr, "internal error", ""},
	{0x022C, backends.SWErr, "internal error", ""},
	{0x022D, backends.SWErr, "internal error", ""},
	{0x022E, backends.SWErr, "internal error", ""},
	{0x022F, backends.SWErr, "internal error", ""},
	{0x0230, backends.SWErr, "internal error", ""},
}

const (
	codeOK        = 0x0000
	codeVirus     = 0x0203
	codeEncrypted = 0x0212
	codeOldData   = 0x021E
)

// rejections explains the codes of REJ.
var rejections = map[int]string{
	codeUnknown: "the request was not recognised",
	2:           "the SSSP version was incorrect",
	3:           "there was an error in the OPTIONS list",
	codeTooMuch: "SCANDATA was trying to send too much data, see maxscandata in savdid.conf",
	5:           "the request is not permitted",
}

const (
	codeUnknown = 1
	codeTooMuch = 4
)

// Hints for the administrator.
const (
	hintOpen    = "savdid cannot read the file: its user needs access to it and to every directory above, or with SCANDATA to its own temporary directory"
	hintFull    = "all of savdid's threads may be busy; max_scans must not be above threadcount in savdid.conf"
	hintOptions = `this savdid rejects the lines in options: change them, or enable archives in savdid.conf ("savigrp: GrpArchiveUnpack 1") and set options = []`
)

// permission names the line of savdid.conf that permits a request.
var permission = map[string]string{
	requestData: `savdid does not permit SCANDATA: set "allowscandata: YES" in savdid.conf`,
	requestFile: `savdid does not permit SCANFILE: set "allowscanfile: FILE" in savdid.conf and allow the spool's directory, or use transport = "data"`,
}

// lookup returns the category of a status, "OK" or "FAIL", with four hexadecimal digits
// as its code. FAIL never maps to OK.
func lookup(status, digits string) (category backends.Category, code int, hint string) {
	n, err := strconv.ParseUint(digits, 16, 16)
	if err != nil || len(digits) != 4 {
		return backends.SWErr, backends.NoCode, ""
	}
	for i := range codes {
		if codes[i].code != int(n) {
			continue
		}
		category, hint = codes[i].category, codes[i].text
		if codes[i].hint != "" {
			hint += ": " + codes[i].hint
		}
		if category == backends.OK && status != "OK" {
			category, hint = backends.SWErr, "a failure with the code of a success"
		}
		return category, int(n), hint
	}
	return backends.SWErr, int(n), "unknown code"
}

// rejection is a REJ line as an error.
type rejection struct {
	request string // what was rejected
	line    string
	code    int
}

func (r *rejection) Error() string {
	hint := permission[r.request]
	switch {
	case r.request == requestOptions:
		hint = hintOptions
	case r.code != 5:
		hint = ""
	}
	text := r.request + ": " + trimmed(r.line)
	if meaning := rejections[r.code]; meaning != "" {
		text += ", " + meaning
	}
	if hint != "" {
		text += " (" + hint + ")"
	}
	return text
}

// parseRejection parses a REJ line.
func parseRejection(request, line string) (*rejection, bool) {
	rest, ok := strings.CutPrefix(line, "REJ ")
	if !ok {
		return nil, false
	}
	digits, _, _ := strings.Cut(rest, " ")
	n, err := strconv.ParseUint(digits, 10, 15)
	if err != nil {
		return nil, false
	}
	return &rejection{request, line, int(n)}, true
}

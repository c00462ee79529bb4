package icap

import (
	"fmt"
	"strings"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

const hello = "hello world, this is a clean text file\n" // 39 bytes, as in the recordings

// page returns an answer with header fields in the ICAP part and the HTTP part.
func page(icapFields, httpStatus, httpFields string) string {
	http := "HTTP/1.1 " + httpStatus + "\r\nContent-Type: text/html\r\n" + httpFields + "\r\n"
	return "ICAP/1.0 200 OK\r\nISTag: \"1\"\r\n" + icapFields + fmt.Sprintf("Encapsulated: res-hdr=0, res-body=%d\r\n\r\n", len(http)) +
		http + "6\r\n<html>\r\n0\r\n\r\n"
}

// echo returns an answer with HTTP 200 and a body.
func echo(fields string, chunks string) string {
	http := "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 39\r\nVia: ICAP/1.0 vm (C-ICAP/0.5.10 Antivirus service )\r\n\r\n"
	return "ICAP/1.0 200 OK\r\nServer: C-ICAP/0.5.10\r\nConnection: keep-alive\r\nISTag: \"CI0001-L5CkDhq+qWNs+PZ5DxxXsAAA\"\r\n" + fields +
		fmt.Sprintf("Encapsulated: res-hdr=0, res-body=%d\r\n\r\n", len(http)) + http + chunks
}

// transcript is an answer to a scan of hello and the outcome wanted.
type transcript struct {
	name   string
	answer backendtest.Words
	want   outcome
}

var whole = "27\r\n" + hello + "\r\n0\r\n\r\n"

const noThreats = "X-Virus-ID: no threats\r\n"

// trailed returns the body of an echo with fields after its last chunk.
func trailed(fields string) string { return strings.TrimSuffix(whole, "\r\n") + fields + "\r\n" }

// transcripts are answers of c-icap, answers of other servers that their users describe,
// and invalid ones.
func transcripts() []transcript {
	found200 := func(c backends.Category, names ...string) outcome { return outcome{c, 200, names, ""} }
	fails := func(c backends.Category, code int) outcome { return outcome{c, code, nil, ""} }
	none := backends.NoCode
	withFailure := func(o outcome, failure backends.Category) outcome { o.failure = failure; return o }
	code := func(status int, code string) string {
		return fmt.Sprintf("ICAP/1.0 %d X\r\nX-Error-Code: %s\r\n\r\n", status, code)
	}
	trend := func(body string) string {
		return strings.Replace(page("", "500 Internal Server Error", ""), "6\r\n<html>\r\n", fmt.Sprintf("%x\r\n%s\r\n", len(body), body), 1)
	}
	const encryptedViolation = "X-Infection-Found: Type=2; Resolution=2; Threat=Encrypted container violation;\r\nX-Violations-Found: 1\r\n\tclient.zip\r\n\tEncrypted container violation\r\n\t0\r\n\t0\r\n"
	return []transcript{
		{"clean", cicap(recorded204), outcome{backends.OK, 204, nil, ""}},
		{"clean without fields", composed("ICAP/1.0 204 No Content\r\n\r\n"), outcome{backends.OK, 204, nil, ""}},
		{"clean, null-body", composed("ICAP/1.0 204 No Content\r\nEncapsulated: null-body=0\r\n\r\n"), outcome{backends.OK, 204, nil, ""}},
		{"clean, close", composed("ICAP/1.0 204 OK\r\nConnection: close\r\n\r\n"), outcome{backends.OK, 204, nil, ""}},
		{"virus", cicap(recordedFound), found200(backends.Virus, "Eicar-Test-Signature-1.UNOFFICIAL")},
		{"encrypted", cicap(found("Heuristics.Encrypted.Zip")), found200(backends.Encrypted, "Heuristics.Encrypted.Zip")},
		{"limits", cicap(found("Heuristics.Limits.Exceeded.MaxFileSize")), found200(backends.Partial, "Heuristics.Limits.Exceeded.MaxFileSize")},
		{"heuristic", composed(found("Heuristics.OLE2.ContainsMacros.VBA")), found200(backends.Suspicious, "Heuristics.OLE2.ContainsMacros.VBA")},
		{"echo", cicap(echo("", whole)), found200(backends.Partial)},
		{"backing clamd dead", cicap(recorded500), fails(backends.SWErr, 500)},
		{"no service", cicap(recorded404), fails(backends.SWErr, 404)},

		// Vendors, as described by other projects.
		{"generic", composed(page("X-Infection-Found: Type=0; Resolution=2; Threat=Troj/DocDl-OYC;\r\n", "403 Forbidden", "")), found200(backends.Virus, "Troj/DocDl-OYC")},
		{"Symantec encrypted", composed(page(encryptedViolation, "403 Forbidden", "")), found200(backends.Encrypted, "Encrypted container violation")},
		{"Symantec size, no semicolon", composed(page("X-Infection-Found: Type=2; Resolution=2; Threat=Container size violation\r\n", "403 Forbidden", "")), found200(backends.Partial, "Container size violation")},
		{"Symantec malformed", composed(page("X-Infection-Found: Type=2; Resolution=2; Threat=Malformed container\r\n", "403 F", "")), found200(backends.Partial, "Malformed container")},
		{"Symantec timeout, ID first", composed(page("X-Virus-ID: Scan timeout\r\nX-Infection-Found: Type=2; Resolution=2; Threat=Scan timeout\r\n", "403 F", "")), found200(backends.Suspicious, "Scan timeout")},
		{"Symantec size, incomplete", composed(page("X-Infection-Found: Type=2; Resolution=2; Threat=Container size violation - scan incomplete.;\r\n", "403 F", "")), found200(backends.Partial, "Container size violation - scan incomplete.")},
		{"Symantec unknown", composed(page("X-Infection-Found: Type=2; Resolution=2; Threat=Internal trouble;\r\n", "403 Forbidden", "")), found200(backends.Suspicious, "Internal trouble")},
		{"Symantec, malware as a container violation", composed(page("X-Infection-Found: Type=2; Resolution=2; Threat=Trojan.Accountstealer;\r\n", "403 Forbidden", "")), found200(backends.Suspicious, "Trojan.Accountstealer")},
		{"Symantec, malware with words", composed(page("X-Infection-Found: Type=2; Resolution=2; Threat=Container FileEncryptor size violation;\r\n", "403 Forbidden", "")), found200(backends.Suspicious, "Container FileEncryptor size violation")},
		{"Symantec licence", composed("ICAP/1.0 539 Aborted - No AV scanning license\r\nConnection: close\r\n\r\n"), fails(backends.SWErr, 539)},
		{"Clearswift", composed(page("X-Infection-Found: Type=1; Resolution=0; Threat=Encrypted Archive;\r\nX-Virus-ID: Encrypted Archive\r\n", "403 Forbidden", "")), found200(backends.Encrypted, "Encrypted Archive")},
		{"policy", composed(page("X-Infection-Found: Type=1; Resolution=2; Threat=No executables;\r\n", "403 Forbidden", "")), found200(backends.Suspicious, "No executables")},
		{"OPSWAT", composed(page("X-Response-Info: Blocked\r\nX-Response-Desc: Encrypted Archive\r\nX-Blocked-Reason: Encrypted Archive\r\n", "403 Forbidden", "")), found200(backends.Encrypted, "Encrypted Archive")},
		{"KWTS", composed(page("X-Virus-ID: HEUR:Backdoor.Java.QRat.gen\r\nX-Response-Info: blocked\r\n", "403 Forbidden", "")), found200(backends.Virus, "HEUR:Backdoor.Java.QRat.gen")},
		{"KWTS clean", composed("ICAP/1.0 204 No Content\r\nX-Virus-ID: no threats\r\nX-Response-Info: passed\r\n\r\n"), outcome{backends.OK, 204, nil, ""}},
		{"KWTS clean, echo", composed(echo("X-Virus-ID: no threats\r\nX-Response-Info: passed\r\n", whole)), outcome{backends.OK, 200, nil, ""}},
		{"KSE", composed(page("X-Virus-ID: EICAR-Test-File\r\n", "403 Forbidden", "")), found200(backends.Virus, "EICAR-Test-File")},
		{"ESET", composed(page("X-Infection-Found: Type=0; Resolution=0; Threat=VBA/TrojanDownloader.Agent.JOA;\r\nX-Virus-ID: Trojaner\r\nX-Response-Info: Blocked\r\n", "403 F", "")), found200(backends.Virus, "VBA/TrojanDownloader.Agent.JOA", "Trojaner")},
		{"ESET forbidden", composed("ICAP/1.0 405 Forbidden\r\n\r\n"), fails(backends.SWErr, 405)},
		{"McAfee", composed(page("X-Virus-ID: EICAR test file\r\nX-Block-Result: 80\r\nX-Block-Reason: Malware found\r\n", "403 VirusFound", "")), found200(backends.Virus, "EICAR test file")},
		{"McAfee reason only", composed(page("", "403 VirusFound", "X-MWG-Block-Reason: Malware found\r\n")), found200(backends.Virus, "Malware found")},
		{"McAfee archive", composed(page("X-Block-Reason: Archive not supported\r\n", "403 F", "")), found200(backends.Partial)},
		{"McAfee media type", composed(page("X-Block-Reason: Media Type (Block List)\r\n", "403 F", "")), found200(backends.Suspicious, "Media Type (Block List)")},
		{"McAfee composition", composed("ICAP/1.0 418 Bad composition\r\n\r\n"), fails(backends.SWErr, 418)},
		{"SAVDI", composed(page("X-Virus-ID: Troj/Agent-AAA\r\n", "403 F", "X-Blocked: Virus found during virus scan\r\nX-Blocked-By: Sophos Anti-Virus\r\n")), found200(backends.Virus, "Troj/Agent-AAA")},
		{"SAVDI, HTTP part only", composed(page("", "403 F", "X-Blocked: Virus found during virus scan\r\nX-Blocked-By: Sophos Anti-Virus\r\n")), found200(backends.Virus, "Virus found during virus scan")},
		{"F-Secure", composed(page("X-FSecure-Scan-Result: infected\r\nX-FSecure-Infection-Name: \"Malware.W97M/Agent.32584203\"\r\nX-FSecure-Infected-Filename: \"x\"\r\n", "403 F", "")), found200(backends.Virus, "Malware.W97M/Agent.32584203")},
		{"F-Secure clean", composed("ICAP/1.0 204 OK\r\nX-FSecure-Scan-Result: clean\r\n\r\n"), outcome{backends.OK, 204, nil, ""}},
		{"F-Secure unknown", composed("ICAP/1.0 204 OK\r\nX-FSecure-Scan-Result: whatever\r\n\r\n"), fails(backends.SWErr, 204)},
		{"F-Secure clean, but a page", composed(page("X-FSecure-Scan-Result: clean\r\n", "403 F", "")), found200(backends.Virus, blockedName)},
		{"squidclamav", composed(page("X-Infection-Found: Type=0; Resolution=2; Threat={HEX}EICAR.TEST.3.UNOFFICIAL;\r\n", "307 Temporary Redirect", "Location: http://x/\r\n")), found200(backends.Virus, "{HEX}EICAR.TEST.3.UNOFFICIAL")},
		{"squidclamav, HTTP part only", composed(page("", "307 Temporary Redirect", "X-Infection-Found: Type=0; Resolution=2; Threat=X.Y;\r\n")), found200(backends.Virus, "X.Y")},
		{"redirect", composed(page("", "302 Found", "Location: http://x/\r\n")), found200(backends.Virus, blockedName)},
		{"Trend virus", composed(page("", "403 Forbidden", "")), found200(backends.Virus, blockedName)},
		{"Trend scan error", composed(page("", "500 Internal Server Error", "")), fails(backends.SWErr, 200)},
		{"Trend no key", composed(page("", "401 Unauthorized", "")), fails(backends.CannotExecute, 200)},
		{"Trend no name", composed(page("", "400 Bad Request", "")), fails(backends.SWErr, 200)},
		{"Trend too many files", composed(trend("Too many files in the zip. (-69)")), found200(backends.Partial)},
		{"Trend too many files, a line", composed(trend("Too many files in the zip. (-69)\r\n")), found200(backends.Partial)},
		{"Trend unknown code", composed(trend("Something else. (-99)")), fails(backends.SWErr, 200)},
		{"Trend code in a page", composed(trend("<html>Too many files. (-69)</html>")), fails(backends.SWErr, 200)},
		{"Trend code in the middle", composed(trend("(-69) in the zip")), fails(backends.SWErr, 200)},
		{"Trend bad request", composed("ICAP/1.0 400 Bad request\r\n\r\n"), fails(backends.SWErr, 400)},
		{"partial and scan error", composed(page("X-Infection-Found: Type=2; Resolution=2; Threat=Container size violation\r\n", "500 E", "")), withFailure(found200(backends.Partial, "Container size violation"), backends.SWErr)},
		{"encrypted and scan error", composed(page("X-Response-Desc: Encrypted Archive\r\n", "500 E", "")), withFailure(found200(backends.Encrypted, "Encrypted Archive"), backends.SWErr)},
		{"encrypted and no key", composed(page("X-Response-Desc: Encrypted Archive\r\n", "401 E", "")), withFailure(found200(backends.Encrypted, "Encrypted Archive"), backends.CannotExecute)},
		{"virus and scan error", composed(page("X-Virus-ID: A.B\r\n", "500 E", "")), withFailure(found200(backends.Virus, "A.B"), backends.SWErr)},

		// Other pages.
		{"page 404", composed(page("", "404 Not Found", "")), fails(backends.SWErr, 200)},
		{"page 451", composed(page("", "451 Unavailable For Legal Reasons", "")), fails(backends.SWErr, 200)},
		{"page 451 with a reason", composed(page("X-Blocked-Reason: Encrypted Archive\r\n", "451 X", "")), found200(backends.Encrypted, "Encrypted Archive")},
		{"page 451, blocked", composed(page("X-Response-Info: Blocked\r\n", "451 X", "")), found200(backends.Suspicious, blockedName)},
		{"page 407", composed(page("", "407 Proxy Authentication Required", "")), fails(backends.CannotExecute, 200)},
		{"page 503", composed(page("", "503 Busy", "")), fails(backends.CannotExecute, 200)},
		{"page 502, blocked", composed(page("X-Response-Info: Blocked\r\n", "502 Bad Gateway", "")), fails(backends.SWErr, 200)},
		{"page 403 cut off", composed(strings.TrimSuffix(page("X-Virus-ID: Heuristics.Encrypted.Zip\r\n", "403 F", ""), "0\r\n\r\n")), withFailure(found200(backends.Encrypted, "Heuristics.Encrypted.Zip"), backends.SWErr)},

		// Error codes, with every status.
		{"code: password", composed(code(500, "password_protected")), outcome{backends.Encrypted, 500, nil, ""}},
		{"code: decode", composed(code(500, "decode_error")), outcome{backends.Partial, 500, nil, ""}},
		{"code: layers", composed(code(500, "max_archive_layers_exceeded")), outcome{backends.Partial, 500, nil, ""}},
		{"code: type", composed(code(500, "file_type_blocked")), outcome{backends.Suspicious, 500, []string{"file_type_blocked"}, ""}},
		{"code: extension", composed(code(500, "file_extension_blocked")), outcome{backends.Suspicious, 500, []string{"file_extension_blocked"}, ""}},
		{"code: timeout", composed(code(500, "scan_timeout")), fails(backends.Interrupted, 500)},
		{"code: licence", composed(code(500, "antivirus_license_expired")), fails(backends.SWErr, 500)},
		{"code: none", composed(code(500, "none")), fails(backends.SWErr, 500)},
		{"code: longer word", composed(code(500, "password_protected_malware")), fails(backends.SWErr, 500)},
		{"code: password, clean", composed(code(204, "password_protected")), outcome{backends.Encrypted, 204, nil, ""}},
		{"code: none, clean", composed(code(204, "none")), outcome{backends.OK, 204, nil, ""}},
		{"code: unknown, clean", composed(code(204, "what")), fails(backends.SWErr, 204)},
		{"code: password, busy", composed(code(503, "password_protected")), withFailure(outcome{backends.Encrypted, 503, nil, ""}, backends.CannotExecute)},
		{"code: password and engine error", composed("ICAP/1.0 500 E\r\nX-Error-Code: password_protected\r\nX-Error-Code: antivirus_engine_error\r\n\r\n"), withFailure(outcome{backends.Encrypted, 500, nil, ""}, backends.SWErr)},
		{"code: password and a page", composed(page("X-Error-Code: password_protected\r\n", "500 E", "")), found200(backends.Encrypted)},
		{"code: password, 403", composed(page("X-Error-Code: password_protected\r\n", "403 F", "")), found200(backends.Encrypted)},
		{"code: password, echo", composed(echo("X-Error-Code: password_protected\r\n", whole)), found200(backends.Encrypted)},
		{"code: engine error, 403", composed(page("X-Error-Code: antivirus_engine_error\r\n", "403 F", "")), fails(backends.SWErr, 200)},

		// Other statuses.
		{"timeout", composed("ICAP/1.0 408 Request timeout\r\n\r\n"), fails(backends.Interrupted, 408)},
		{"overload", composed("ICAP/1.0 503 Service overloaded\r\n\r\n"), fails(backends.CannotExecute, 503)},
		{"forbidden", composed("ICAP/1.0 403 Forbidden\r\n\r\n"), fails(backends.SWErr, 403)},
		{"no credentials", composed("ICAP/1.0 401 Unauthorized\r\n\r\n"), fails(backends.CannotExecute, 401)},
		{"too large", composed("ICAP/1.0 413 Request entity too large\r\n\r\n"), outcome{backends.Partial, 413, nil, ""}},
		{"unknown 2xx", composed("ICAP/1.0 201 Created\r\n\r\n"), fails(backends.SWErr, 201)},
		{"redirect of ICAP", composed("ICAP/1.0 302 Found\r\n\r\n"), fails(backends.SWErr, 302)},
		{"continue without a preview", composed("ICAP/1.0 100 Continue\r\n\r\n"), fails(backends.SWErr, 100)},
		{"error with a virus", composed("ICAP/1.0 403 Forbidden\r\nX-Virus-ID: A.B\r\n\r\n"), withFailure(outcome{backends.Virus, 403, []string{"A.B"}, ""}, backends.SWErr)},
		{"error with a limit", composed("ICAP/1.0 500 E\r\nX-Infection-Found: Type=2; Resolution=0; Threat=Container depth violation;\r\n\r\n"), withFailure(outcome{backends.Partial, 500, []string{"Container depth violation"}, ""}, backends.SWErr)},
		{"error with a description", composed("ICAP/1.0 500 E\r\nX-Response-Desc: Encrypted Archive\r\n\r\n"), withFailure(outcome{backends.Encrypted, 500, []string{"Encrypted Archive"}, ""}, backends.SWErr)},
		{"error with a word in a description", composed("ICAP/1.0 500 E\r\nX-Response-Desc: cannot decrypt encrypted password store\r\n\r\n"), fails(backends.SWErr, 500)},

		// Forms.
		{"lower case", composed(page("x-infection-found: type=0; resolution=2; threat=A.B\r\n", "403 F", "")), found200(backends.Virus, "A.B")},
		{"upper case", composed(page("X-INFECTION-FOUND:TYPE=0;RESOLUTION=2;THREAT=A.B;\r\n", "403 F", "")), found200(backends.Virus, "A.B")},
		{"line feeds", composed(strings.ReplaceAll(recordedFound, "\r\n", "\n")), found200(backends.Virus, "Eicar-Test-Signature-1.UNOFFICIAL")},
		{"clean, line feeds", composed(strings.ReplaceAll(recorded204, "\r\n", "\n")), outcome{backends.OK, 204, nil, ""}},
		{"folded", composed(page("X-Infection-Found: Type=0;\r\n  Resolution=2;\r\n\tThreat=A.B;\r\n", "403 F", "")), found200(backends.Virus, "A.B")},
		{"two violations", composed(page("X-Violations-Found: 2\r\n\ta.zip\r\n\tHeuristics.Encrypted.Zip\r\n\t0\r\n\t0\r\n\tb.exe\r\n\tWin.Test\r\n\t0\r\n\t2\r\n", "403 F", "")), found200(backends.Virus, "Heuristics.Encrypted.Zip", "Win.Test")},
		{"violations without a name", composed(page("X-Violations-Found: 1\r\n\t-\r\n\t-\r\n\t0\r\n\t0\r\n", "200 OK", "")), found200(backends.Virus, blockedName)},
		{"no violations", composed(echo("X-Violations-Found: 0\r\n", whole)), found200(backends.Partial)},
		{"violations not counted", composed("ICAP/1.0 204 OK\r\nX-Violations-Found: many\r\n\r\n"), fails(backends.SWErr, 204)},
		{"infection in words", composed(page("X-Infection-Found: W32.Foo\r\n", "200 OK", "")), found200(backends.Virus, "W32.Foo")},
		{"infection without a name", composed(page("X-Infection-Found: Type=0; Resolution=2;\r\n", "200 OK", "")), found200(backends.Virus, blockedName)},
		{"infection empty", composed("ICAP/1.0 204 OK\r\nX-Infection-Found:\r\n\r\n"), fails(backends.SWErr, 204)},
		{"204 with a virus", composed("ICAP/1.0 204 OK\r\nX-Virus-ID: A.B\r\n\r\n"), outcome{backends.Virus, 204, []string{"A.B"}, ""}},
		{"204 and blocked", composed("ICAP/1.0 204 OK\r\nX-Response-Info: Blocked\r\n\r\n"), outcome{backends.Suspicious, 204, []string{blockedName}, ""}},
		{"echo and blocked", composed(echo("X-Response-Info: Blocked\r\n", whole)), found200(backends.Suspicious, blockedName)},
		{"blocked, reason unknown", composed(page("X-Block-Reason: Something new\r\n", "403 F", "")), found200(backends.Virus, "Something new")},
		{"blocked, ransomware", composed(page("X-Block-Reason: Ransom.FileEncryptor\r\n", "403 F", "")), found200(backends.Virus, "Ransom.FileEncryptor")},
		{"blocked, stealer", composed(page("X-Block-Reason: Trojan PasswordStealer blocked\r\n", "403 F", "")), found200(backends.Virus, "Trojan PasswordStealer blocked")},
		{"blocked, not at all clean", composed(page("X-Block-Reason: No executables. Not allowed.\r\n", "200 OK", "")), found200(backends.Virus, "No executables. Not allowed.")},
		{"blocked, locked", composed(page("X-Blocked-Reason: Password Protected Document\r\n", "403 F", "")), found200(backends.Encrypted, "Password Protected Document")},
		{"blocked, too deep", composed(page("X-Blocked-Reason: Exceeded Archive Depth\r\n", "403 F", "")), found200(backends.Partial)},
		{"blocked, scan failed", composed(page("X-Blocked-Reason: Failed To Scan\r\n", "403 F", "")), fails(backends.SWErr, 200)},
		{"described, ransomware", composed(page("X-Response-Desc: Blocked, ransomware Encryptor\r\n", "403 F", "")), found200(backends.Virus, blockedName)},
		{"described, infected", composed("ICAP/1.0 204 OK\r\nX-Response-Desc: Infected\r\n\r\n"), outcome{backends.Virus, 204, []string{"Infected"}, ""}},
		{"blocked: yes", composed(page("X-Blocked: yes\r\n", "200 OK", "")), found200(backends.Virus, blockedName)},
		{"described, unknown", composed("ICAP/1.0 204 OK\r\nX-Response-Desc: Nothing special\r\n\r\n"), outcome{backends.OK, 204, nil, ""}},
		{"described, no virus", composed("ICAP/1.0 204 OK\r\nX-Response-Desc: No virus found\r\n\r\n"), outcome{backends.OK, 204, nil, ""}},
		{"worst of two parts", composed(page("X-Virus-ID: Heuristics.Encrypted.Zip\r\n", "403 F", "X-Virus-ID: Win.Worm\r\n")), found200(backends.Virus, "Heuristics.Encrypted.Zip", "Win.Worm")},
		{"hostile name", composed(page("X-Infection-Found: Type=0; Resolution=2; Threat=\x00\xff%s\x1b[2J: OK\x00\r;\r\n", "403 F", "")), found200(backends.Virus, "\x00\xff%s\x1b[2J: OK\x00\r")},
		{"long name", composed(page("X-Virus-ID: "+strings.Repeat("A", 60000)+"\r\n", "403 F", "")), found200(backends.Virus, strings.Repeat("A", maxName))},

		{"204 and an error", composed("ICAP/1.0 204 OK\r\nX-Response-Info: Error\r\n\r\n"), fails(backends.SWErr, 204)},
		{"204 and failed", composed("ICAP/1.0 204 OK\r\nX-Response-Info: FAILED\r\n\r\n"), fails(backends.SWErr, 204)},
		{"204 and an unknown action", composed("ICAP/1.0 204 OK\r\nX-Response-Info: Bypassed\r\n\r\n"), fails(backends.SWErr, 204)},
		{"204 and allowed", composed("ICAP/1.0 204 OK\r\nX-Response-Info: Allowed\r\n\r\n"), outcome{backends.OK, 204, nil, ""}},
		{"clean echo and an error", composed(echo("X-Virus-ID: no threats\r\nX-Response-Info: Error\r\n", whole)), fails(backends.SWErr, 200)},
		{"clean echo and an unknown action", composed(echo("X-Virus-ID: no threats\r\nX-Response-Info: Skipped\r\n", whole)), fails(backends.SWErr, 200)},
		{"encrypted and an error", composed(page("X-Virus-ID: Heuristics.Encrypted.Zip\r\nX-Response-Info: Error\r\n", "403 F", "")), withFailure(found200(backends.Encrypted, "Heuristics.Encrypted.Zip"), backends.SWErr)},
		{"virus and an unknown action", composed(page("X-Virus-ID: A.B\r\nX-Response-Info: Quarantined\r\n", "403 F", "")), found200(backends.Virus, "A.B")},
		{"204, described as an error", composed("ICAP/1.0 204 OK\r\nX-Response-Desc: Scan engine error\r\n\r\n"), fails(backends.SWErr, 204)},
		{"204, described as an error and more", composed("ICAP/1.0 204 OK\r\nX-Response-Desc: Scan engine error\r\nX-Response-Desc: fine\r\n\r\n"), fails(backends.SWErr, 204)},
		{"204, described as failed", composed("ICAP/1.0 204 OK\r\nX-Response-Desc: FILE: the analysis failed\r\n\r\n"), fails(backends.SWErr, 204)},
		{"204, described as unscanned", composed("ICAP/1.0 204 OK\r\nX-Response-Desc: Object was not scanned\r\n\r\n"), fails(backends.SWErr, 204)},
		{"204, described as without errors", composed("ICAP/1.0 204 OK\r\nX-Response-Desc: scanned, no errors\r\n\r\n"), outcome{backends.OK, 204, nil, ""}},
		{"204, described by Trend", composed("ICAP/1.0 204 OK\r\nX-Response-Desc: URL: No risk rating from WRS\r\n\r\n"), outcome{backends.OK, 204, nil, ""}},
		{"clean echo, described as an error", composed(echo("X-Virus-ID: no threats\r\nX-Response-Desc: Scan timed out\r\n", whole)), fails(backends.SWErr, 200)},

		// Trailers.
		{"trailer, virus", composed(echo(noThreats, trailed("X-Infection-Found: Type=0; Resolution=2; Threat=Eicar;\r\n"))), found200(backends.Virus, "Eicar")},
		{"trailer, encrypted", composed(echo(noThreats, trailed("x-virus-id: Heuristics.Encrypted.Zip\r\n"))), found200(backends.Encrypted, "Heuristics.Encrypted.Zip")},
		{"trailer, reason", composed(echo(noThreats, trailed("X-Blocked-Reason: Encrypted Archive\r\n"))), found200(backends.Encrypted, "Encrypted Archive")},
		{"trailer, violations", composed(echo(noThreats, trailed("X-Violations-Found: 1\r\n\t-\r\n\tA.B\r\n\t0\r\n\t0\r\n"))), found200(backends.Virus, "A.B")},
		{"trailer, blocked", composed(echo(noThreats, trailed("X-Response-Info: Blocked\r\n"))), found200(backends.Suspicious, blockedName)},
		{"trailer, error", composed(echo(noThreats, trailed("X-Response-Info: Error\r\n"))), fails(backends.SWErr, 200)},
		{"trailer, described as an error", composed(echo(noThreats, trailed("X-Response-Desc: Scan engine error\r\n"))), fails(backends.SWErr, 200)},
		{"trailer, error code", composed(echo(noThreats, trailed("X-Error-Code: antivirus_engine_error\r\n"))), fails(backends.SWErr, 200)},
		{"trailer, clean", composed(echo("", trailed(noThreats))), outcome{backends.OK, 200, nil, ""}},
		{"trailer, something else", composed(echo(noThreats, trailed("X-Checksum: 1\r\n"))), outcome{backends.OK, 200, nil, ""}},
		{"trailer, no field", composed(echo(noThreats, trailed("nonsense\r\n"))), fails(backends.SWErr, none)},
		{"trailer too long", composed(echo(noThreats, trailed("X: "+strings.Repeat("A", maxHead)+"\r\n"))), fails(backends.SWErr, none)},
		{"trailer of a page, virus", composed(strings.TrimSuffix(page("X-Virus-ID: Heuristics.Encrypted.Zip\r\n", "403 F", ""), "\r\n") + "X-Virus-ID: A.B\r\n\r\n"), found200(backends.Virus, "Heuristics.Encrypted.Zip", "A.B")},
		{"trailer of a page, error", composed(strings.TrimSuffix(page("X-Virus-ID: Heuristics.Encrypted.Zip\r\n", "403 F", ""), "\r\n") + "X-Error-Code: antivirus_engine_error\r\n\r\n"), withFailure(found200(backends.Encrypted, "Heuristics.Encrypted.Zip"), backends.SWErr)},

		// Echoes and other objects.
		{"echo in small chunks", composed(echo("", "10;a=b\r\n"+hello[:16]+"\r\n0017; x=\"y\"\r\n"+hello[16:]+"\r\n0; ieof\r\nX-T: 1\r\n\r\n")), found200(backends.Partial)},
		{"another object", composed(echo("", "3\r\nabc\r\n0\r\n\r\n")), found200(backends.Suspicious, modifiedName)},
		{"object and more", composed(echo("", "28\r\n"+hello+"x\r\n0\r\n\r\n")), found200(backends.Suspicious, modifiedName)},
		{"one byte changed", composed(echo("", "27\r\nH"+hello[1:]+"\r\n0\r\n\r\n")), found200(backends.Suspicious, modifiedName)},
		{"half the object", composed(echo("", "10\r\n"+hello[:16]+"\r\n0\r\n\r\n")), fails(backends.SWErr, 200)},
		{"no object", composed(echo("", "0\r\n\r\n")), fails(backends.SWErr, 200)},
		{"null-body", composed("ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, null-body=19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), fails(backends.SWErr, 200)},
		{"page without a body", composed("ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, null-body=26\r\n\r\nHTTP/1.1 403 Forbidden\r\n\r\n"), found200(backends.Virus, blockedName)},
		{"bare echo", composed("ICAP/1.0 200 OK\r\nEncapsulated: res-body=0\r\n\r\n" + whole), found200(backends.Partial)},
		{"request echoed", composed("ICAP/1.0 200 OK\r\nEncapsulated: req-hdr=0, req-body=18\r\n\r\nPOST / HTTP/1.1\r\n\r\n" + whole), found200(backends.Partial)},
		{"wrong offsets", composed(strings.Replace(recordedFound, "res-body=161", "res-body=1", 1)), found200(backends.Virus, "Eicar-Test-Signature-1.UNOFFICIAL")},
		{"206", composed("ICAP/1.0 206 Partial Content\r\nEncapsulated: res-hdr=0, res-body=19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n0; use-original-body=0\r\n\r\n"), fails(backends.SWErr, 206)},
		{"HTTP 204", composed(page("", "204 No Content", "")), fails(backends.SWErr, 200)},

		// Invalid.
		{"200 without Encapsulated", composed("ICAP/1.0 200 OK\r\n\r\n"), fails(backends.SWErr, none)},
		{"Encapsulated unknown", composed("ICAP/1.0 200 OK\r\nEncapsulated: foo=0\r\n\r\n"), fails(backends.SWErr, none)},
		{"Encapsulated in wrong order", composed("ICAP/1.0 200 OK\r\nEncapsulated: res-body=0, res-hdr=5\r\n\r\n"), fails(backends.SWErr, none)},
		{"Encapsulated huge", composed("ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=99999999999999999999\r\n\r\n"), fails(backends.SWErr, none)},
		{"not HTTP inside", composed("ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=5\r\n\r\nfoo\r\n\r\n0\r\n\r\n"), fails(backends.SWErr, none)},
		{"204 with a body", composed("ICAP/1.0 204 OK\r\nEncapsulated: res-body=0\r\n\r\n0\r\n\r\n"), fails(backends.SWErr, 204)},
		{"two answers", composed(recorded204 + recorded204), fails(backends.SWErr, none)},
		{"clean, then a virus", composed(recorded204 + recordedFound), fails(backends.SWErr, none)},
		{"a trailing byte", composed(recorded204 + "x"), fails(backends.SWErr, none)},
		{"HTTP instead of ICAP", composed("HTTP/1.1 204 No Content\r\n\r\n"), fails(backends.SWErr, none)},
		{"no version", composed("ICAP 204 OK\r\n\r\n"), fails(backends.SWErr, none)},
		{"status with a sign", composed("ICAP/1.0 +204 OK\r\n\r\n"), fails(backends.SWErr, none)},
		{"status of four digits", composed("ICAP/1.0 2040 OK\r\n\r\n"), fails(backends.SWErr, none)},
		{"leading empty line", composed("\r\n" + recorded204), fails(backends.SWErr, none)},
		{"no colon", composed("ICAP/1.0 204 OK\r\nfoo\r\n\r\n"), fails(backends.SWErr, none)},
		{"clamd", composed("stream: OK\x00"), fails(backends.SWErr, none)},
		{"header too long", composed("ICAP/1.0 204 OK\r\nX: " + strings.Repeat("A", maxHead) + "\r\n\r\n"), fails(backends.SWErr, none)},
		{"too many fields", composed("ICAP/1.0 204 OK\r\n" + strings.Repeat("X: y\r\n", maxHead/6) + "\r\n"), fails(backends.SWErr, none)},
		{"chunk too long", composed(echo("", "7fffffffffffffff\r\nhel")), fails(backends.SWErr, none)},
		{"chunk negative", composed(echo("", "-1\r\n")), fails(backends.SWErr, none)},
		{"chunk of hex", composed(echo("", "0x27\r\n"+hello+"\r\n0\r\n\r\n")), fails(backends.SWErr, none)},
		{"chunk with a long head", composed(echo("", "27;"+strings.Repeat("x", 4<<10)+"\r\n"+hello+"\r\n0\r\n\r\n")), fails(backends.SWErr, none)},
		{"chunk not ended", composed(echo("", "27\r\n"+hello+"x\r\n0\r\n\r\n")), fails(backends.SWErr, none)},
		{"trailer without an end", composed(echo("", "27\r\n"+hello+"\r\n0\r\n"+strings.Repeat("X: y\r\n", maxTrailer+1))), fails(backends.SWErr, none)},
		{"", composed(""), fails(backends.CannotExecute, none)},
	}
}

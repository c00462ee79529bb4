// Package extended reads and writes the records of polyclam's own verbs: XINSTREAM,
// XSCAN, XCONTSCAN, XFILDES and XSTATUS.
//
// The reply to a scan is the plain status line, an ENGINE record for each engine in the
// order of the configuration, a SUMMARY record, and END. XCONTSCAN repeats all but END
// for each file:
//
//	stream: OK
//	stream: engine=sophos category=encrypted action=ok code=2 msg="Password protected file a.zip" ENGINE
//	stream: engine=clamav category=ok action=ok code=0 ENGINE
//	stream: category=encrypted action=ok code=2 engine=sophos engines=2 failed=0 version=1 SUMMARY
//	END
//
// The reply to XSTATUS is a SERVER record, a NODE record for each node of each engine,
// and END.
//
// A [Record] is one such line. [Engine], [Summary], [Server] and [Node] are its typed
// forms. Their Record methods encode them; the methods of Record that have their names
// decode them. Ignore unknown records and fields: later versions may add some. A missing
// or malformed field has its zero value unless its comment states another. The caller has
// to check that the records of a reply belong together.
package extended

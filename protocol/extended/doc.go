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
// forms: their Record methods write one, and the methods of Record with their names read
// one. Records and fields that are not known here belong to later versions: ignore
// them. A field that is missing or cannot be read has its zero value, unless its comment
// says otherwise. Whether the records of a reply fit together is for the caller to check.
package extended

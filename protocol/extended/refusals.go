package extended

// Refusals are the part of a SERVER record that counts, since the start, what was refused
// and what no engine received.
type Refusals struct {
	CommandsRefused    int64 `json:"commands_refused,omitempty"`
	ConnectionsRefused int64 `json:"connections_refused,omitempty"`
	NotAllowed         int64 `json:"connections_not_allowed,omitempty"` // of clients that the listener does not allow
	HandshakesFailed   int64 `json:"handshakes_failed,omitempty"`       // TLS handshakes and PROXY headers

	// Objects that no engine received, by the reason.
	NotScannedGone   int64 `json:"not_scanned_gone,omitempty"`   // the client had gone or was too slow, or the daemon stopped
	NotScannedLimit  int64 `json:"not_scanned_limit,omitempty"`  // larger than the limit on streams
	NotScannedSpool  int64 `json:"not_scanned_spool,omitempty"`  // no room in the spool, or its disk failed
	NotScannedDenied int64 `json:"not_scanned_denied,omitempty"` // polyclamd's user may not read the file
	NotScannedPath   int64 `json:"not_scanned_path,omitempty"`   // no such file, or not one that can be scanned
	NotScannedHung   int64 `json:"not_scanned_hung,omitempty"`   // a file system did not answer, or time ran out first
	NotScannedRate   int64 `json:"not_scanned_rate,omitempty"`   // beyond the client's scans per second
	NotScannedOther  int64 `json:"not_scanned_other,omitempty"`  // not handed over as the protocol says
}

func (r *Refusals) fields() []field {
	return []field{
		count("commands_refused", 0, &r.CommandsRefused),
		count("connections_refused", 0, &r.ConnectionsRefused),
		count("connections_not_allowed", 0, &r.NotAllowed),
		count("handshakes_failed", 0, &r.HandshakesFailed),
		count("not_scanned_gone", 0, &r.NotScannedGone),
		count("not_scanned_limit", 0, &r.NotScannedLimit),
		count("not_scanned_spool", 0, &r.NotScannedSpool),
		count("not_scanned_denied", 0, &r.NotScannedDenied),
		count("not_scanned_path", 0, &r.NotScannedPath),
		count("not_scanned_hung", 0, &r.NotScannedHung),
		count("not_scanned_rate", 0, &r.NotScannedRate),
		count("not_scanned_other", 0, &r.NotScannedOther),
	}
}

package engine

import "fmt"

// The test mail shows what plain EICAR does not: when clamd 1.4.6 has no room in its
// TemporaryDirectory, it still finds EICAR, but calls every mail ok because it cannot write
// the attachments. It answers archives with an error.
const (
	mailBlindText = "finds the test file, but no longer inside a mail: is its temporary directory full? " +
		"(if ScanMail was switched off on purpose, restart polyclamd)"
	mailUnreadText = "the engine finds the test file in an archive, but not in a mail: " +
		"set ScanMail yes in clamd.conf, unless your mail filter unpacks mails itself"
)

// mailMisses is how many checks in a row must find EICAR in an archive, but not in a mail,
// before an engine that used to unpack mail counts as one that is configured otherwise.
const mailMisses = 3

// mailAnswer is the answer to the mail with EICAR in it.
type mailAnswer int

const (
	mailUnknown mailAnswer = iota // not asked, or a failure
	mailFound                     // EICAR was found
	mailMissed                    // it was not
)

// mailHistory is what is known about mail on a node. pool.mu guards it.
type mailHistory struct {
	opened bool // it has found EICAR in a mail, and so must go on finding it
	unread bool // it finds EICAR in an archive, but not in a mail
	misses int  // how many checks in a row have shown unread although it is opened
	forget bool // it may remember an ok for a mail that it did not unpack, see forgetAnswers
}

// update applies the findings of a health check, and returns them with the right state.
//
// A node that has never found EICAR in a mail is not judged by it: ScanMail may be off, or
// the engine may know no mail. One that no longer finds it is blind, unless it is shown
// that its engine can unpack archives, and so has room: then its configuration has changed.
func (m *mailHistory) update(found proof) proof {
	if found.reason != nil {
		return found
	}
	switch {
	case found.noRoom != nil:
		m.misses, m.forget = 0, true
		return found.blind(fmt.Sprintf("finds the test file, but may miss viruses in mails and archives: %v", found.noRoom))
	case found.mail == mailFound:
		*m = mailHistory{opened: true, forget: m.forget}
	case found.mail == mailMissed && m.opened:
		if m.misses++; !found.packed {
			m.misses = 0
		}
		if m.misses < mailMisses {
			m.forget = true
			return found.blind(mailBlindText)
		}
		*m = mailHistory{unread: true}
	case found.mail == mailMissed:
		m.unread = found.packed
	}
	return found
}

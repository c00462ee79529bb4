package live

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Fates sum up what happened to mails, by kind.
type Fates struct {
	Count   map[string]map[string]int // by kind, by fate
	Longest time.Duration             // the longest wait for the answer
	Answers []string                  // the answers other than 250, each once
}

// Fates sums up the mails that were sent from begin to end. Call [MailServer.WaitEmpty]
// first.
func (s *MailServer) Fates(mails []Mail, begin, end time.Time) Fates {
	f := Fates{Count: map[string]map[string]int{}}
	for _, kind := range mailKinds {
		f.Count[kind] = map[string]int{}
	}
	for _, mail := range mails {
		if mail.Start.Before(begin) || !mail.Start.Before(end) {
			continue
		}
		fate := s.Fate(mail)
		f.Count[mail.Kind][fate]++
		f.Longest = max(f.Longest, mail.Took)
		if mail.Reply.Code == 250 {
			continue
		}
		answer := fmt.Sprintf("%s: %s", mail.Kind, mail.Reply)
		if mail.Err != nil {
			answer = fmt.Sprintf("%s: %v", mail.Kind, mail.Err)
		}
		if !slices.Contains(f.Answers, answer) {
			f.Answers = append(f.Answers, answer)
		}
	}
	return f
}

// FatesHead heads a table of fates.
const FatesHead = "clean | EICAR | encrypted | longest ms"

// String is a row below [FatesHead].
func (f Fates) String() string {
	var cells []string
	for _, kind := range mailKinds {
		var parts []string
		for fate, n := range f.Count[kind] {
			parts = append(parts, fmt.Sprintf("%d %s", n, fate))
		}
		slices.Sort(parts)
		cells = append(cells, strings.Join(parts, ", "))
	}
	return fmt.Sprintf("%s | %d", strings.Join(cells, " | "), f.Longest.Milliseconds())
}

// Only reports whether all mails of a kind had one fate, and there were some.
func (f Fates) Only(kind, fate string) bool {
	return len(f.Count[kind]) == 1 && f.Count[kind][fate] > 0
}

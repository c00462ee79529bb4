package judge

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/protocol/extended"
	"polyclam/proxy/ops/human"
)

// A Node is the state of one node of one engine.
type Node struct{ extended.Node }

// Name is the name of the node for messages.
func (n *Node) Name() string { return strings.TrimSpace(n.Engine + " " + n.Address) }

// Healthy reports whether nothing is known to be wrong with the node, and it is not drained.
// One that is not yet checked, or idle while it loads signatures, counts as healthy.
func (n *Node) Healthy() bool {
	if n.Drained {
		return false
	}
	eicar := backends.Category(n.CanaryEICAR)
	found := eicar == backends.Virus || eicar == backends.Suspicious
	return (n.State == "up" || n.State == "unknown" || n.State == "reloading") && (found || eicar == "")
}

// Why returns polyclamd's reason for not using the node, or "".
func (n *Node) Why() string {
	reason := cmp.Or(n.Reason, n.CanaryError)
	if !n.Drained {
		return reason
	}
	text := "drained by an administrator (polyclam node resume " + n.Engine + ")"
	if reason != "" {
		text += "; " + reason
	}
	return text
}

// Remarks returns what an operator should know about a node that is used.
func (n *Node) Remarks() (out []string) {
	if n.HeuristicsFirst {
		out = append(out, HeuristicsFirst)
	}
	if n.MailUnread {
		out = append(out, MailUnread)
	}
	if n.UnscannedAbove > 0 {
		out = append(out, fmt.Sprintf("it reports OK for objects larger than %s without scanning them; polyclam check shows what to change", human.Size(n.UnscannedAbove)))
	}
	if n.Limit > 0 {
		out = append(out, fmt.Sprintf("it is overloaded and limited to %s at a time until it recovers", human.Plural(n.Limit, "scan")))
	}
	if n.OlderBy > 0 {
		out = append(out, fmt.Sprintf("its signatures are %s older than those of %s", human.Age(time.Duration(n.OlderBy)*time.Second), n.OlderThan))
	}
	if n.NameReason != "" && n.FoundAs != n.Address {
		out = append(out, fmt.Sprintf("its name %s was last answered %s ago, and the last known addresses stay in use: %s", n.FoundAs, human.Age(time.Duration(n.NameAge)*time.Second), n.NameReason))
	}
	if n.Withheld > 0 {
		out = append(out, fmt.Sprintf("it died or hung three times on %s, and does not get them for a while (poison_time)", human.Plural(n.Withheld, "object")))
	}
	return out
}

// Words says why a node is not used: "is down: connection refused".
func (n *Node) Words() string { return n.Is(n.Why()) }

// Explain says what is wrong with the node, with the remedy: "is down: connection refused.
// Is the engine running?" The node may be in use nevertheless.
func (n *Node) Explain() string {
	if reason := n.ownReason(); n.Healthy() && reason != "" {
		return "is " + n.State + ": " + reason
	}
	return n.Is(n.ownReason())
}

// ownReason is the reason without the address and what the state says.
func (n *Node) ownReason() string {
	reason := strings.Replace(n.Why(), n.Backend+" "+n.Address+": ", "", 1) // as in canary_error
	return strings.TrimPrefix(reason, "cannot connect: ")
}

// summary is Explain without remedies.
func (n *Node) summary() string { return n.Is(firstSentence(n.ownReason())) }

// firstSentence returns the text up to a full stop that a capital letter follows.
func firstSentence(text string) string {
	for i := range text {
		if rest, ok := strings.CutPrefix(text[i:], ". "); ok && rest != "" && 'A' <= rest[0] && rest[0] <= 'Z' {
			return text[:i]
		}
	}
	return text
}

// Is says that a node is not used, for this reason.
func (n *Node) Is(reason string) string {
	text := "is " + n.State
	switch n.State {
	case "up", "unknown", "reloading":
		if n.Drained {
			return "is " + reason
		}
	}
	switch n.State {
	case "":
		text = "has no state"
	case "up", "unknown", "reloading":
		text = "does not find the test file"
	}
	if reason != "" {
		text += ": " + reason
	}
	return text
}

// Remedies for clamd.
const (
	MailUnread      = "it does not look into mails: set ScanMail yes in clamd.conf, unless your mail filter unpacks mails itself"
	HeuristicsFirst = "it stops at the first heuristic match: set HeuristicScanPrecedence no in clamd.conf; until then its encrypted and limits findings count as suspicious"
)

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"polyclam/backends"
	"polyclam/backends/access"
	"polyclam/cmd/internal/listen"
)

// node returns a trial's node as the running polyclamd sees it, or nil.
func (in *inspection) node(tr *trial) *nodeStatus {
	if in.daemon == nil {
		return nil
	}
	for i := range in.daemon.Nodes {
		if n := &in.daemon.Nodes[i]; n.Engine == tr.engine && n.Address == tr.node {
			return n
		}
	}
	return nil
}

// name returns the name of the node for messages.
func (t *trial) name() string { return strings.TrimSpace(t.engine + " " + t.node) }

// forbidden reports whether this tool failed only for lack of rights, which says nothing
// about polyclamd.
func (t *trial) forbidden() bool {
	err := t.answers[sampleClean].err
	return errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM)
}

// views compares what this tool and the running polyclamd can use.
func (in *inspection) views(trials []trial) (list []finding) {
	tool := fmt.Sprintf("this tool (%s)", access.UserName(os.Geteuid()))
	for i := range trials {
		tr := &trials[i]
		if in.daemon == nil || len(in.daemon.Nodes) == 0 {
			continue
		}
		daemon := fmt.Sprintf("%s at %s", who(&in.daemon.Server), in.daemon.Address)
		n := in.node(tr)
		if n == nil {
			list = append(list, finding{fmt.Sprintf("%s: %s does not use it yet: reload it (systemctl reload polyclamd)", tr.name(), daemon), exitOK})
			continue
		}
		why := n.Words()
		if err := tr.answers[sampleClean].err; err != nil && err.Error() == n.Why() {
			why = n.Is("") + ", for the same reason"
		}
		switch healthy := n.Healthy(); {
		case healthy && !tr.usable() && n.State == "up":
			list = append(list, finding{fmt.Sprintf("%s: %s cannot use it, but %s can", tr.name(), tool, daemon), exitOK})
		case !healthy && tr.usable():
			list = append(list, finding{fmt.Sprintf("%s: %s can use it, but for %s it %s%s", tr.name(), tool, daemon, why, loopRemedy(n)), exitFound})
		case !healthy:
			list = append(list, finding{fmt.Sprintf("%s: for %s, too, it %s%s", tr.name(), daemon, why, loopRemedy(n)), exitFound})
		}
	}
	return list
}

// loopRemedy says what to do about an engine that asks polyclam itself.
func loopRemedy(n *nodeStatus) string {
	if !strings.Contains(n.Reason, "asks polyclam itself") {
		return ""
	}
	return "; its own configuration (of c-icap: clamd_mod.ClamdSocket, of clamdscan: LocalSocket in its clamd.conf) must name the socket of the real clamd"
}

// exitOf returns the exit status for a trial. If this tool only lacks rights, polyclamd's
// view decides.
func (in *inspection) exitOf(tr *trial) int {
	if n := in.node(tr); n != nil && n.Healthy() && n.State == "up" && tr.forbidden() {
		return exitOK
	}
	return tr.exit()
}

// ages reports signatures that are older than max_signature_age, or than those of another
// node of the same engine.
func (in *inspection) ages(trials []trial) (list []finding) {
	now := time.Now()
	for i := range trials {
		tr := &trials[i]
		if tr.database.IsZero() {
			continue
		}
		most := time.Duration(in.engine(tr.engine).MaxSignatureAge)
		if old := now.Sub(tr.database); most > 0 && old > most {
			list = append(list, finding{fmt.Sprintf("%s: its signatures are %s old (max_signature_age is %s): does its updater run (freshclam for clamd), and does the engine load what that fetches?",
				tr.name(), age(old), age(most)), exitFound})
		}
		newest := tr
		for j := range trials {
			if o := &trials[j]; o.engine == tr.engine && o.database.After(newest.database) {
				newest = o
			}
		}
		if newest != tr {
			list = append(list, finding{fmt.Sprintf("%s: its signatures are %s older than those of %s", tr.name(), age(newest.database.Sub(tr.database)), newest.node), exitOK})
		}
	}
	return list
}

// loops reports engines that are, or ask, polyclam itself. polyclamd finds a loop with its
// health checks; this finds one before it runs.
func (in *inspection) loops(trials []trial) (list []finding) {
	for i := range trials {
		tr := &trials[i]
		if n := in.node(tr); n != nil && (n.Healthy() && n.State == "up" || loopRemedy(n) != "") {
			continue // polyclamd has already decided
		}
		if tr.node != "" && in.listener(tr.node) != nil {
			list = append(list, finding{fmt.Sprintf("%s: this is a listener of polyclamd, so it would ask itself: write the address of the real engine", tr.name()), exitFound})
			continue
		}
		if tr.isClamd() && !tr.silent() && isPolyclamd(tr.node) {
			list = append(list, finding{fmt.Sprintf("%s: a polyclamd answers there, not a clamd: if it asks this one, scans go round in circles; write the address of the real clamd", tr.name()), exitOK})
		}
		if in.machine != nil && tr.node != "" {
			if why := in.machine.AsksClamd(tr.node); why != "" {
				list = append(list, finding{fmt.Sprintf("%s: %s: make it ask the real clamd, or use clamd itself as the engine", tr.name(), why), exitOK})
			}
		}
	}
	return list
}

// isPolyclamd reports whether a polyclamd answers at an address.
func isPolyclamd(address string) bool {
	network, place, err := backends.ParseAddress(address)
	return err == nil && listen.IsPolyclamd(network, place)
}

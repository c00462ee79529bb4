package main

import (
	"fmt"
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/cmd/internal/size"
	"polyclam/proxy/ops/admin"
	"polyclam/proxy/ops/human"
	"polyclam/proxy/record"
)

// whyText returns the records for people, the newest first.
func whyText(key string, a *admin.Why) string {
	var b strings.Builder
	if n := int64(len(a.Records)); n > 1 || a.More {
		atLeast := ""
		if a.More {
			atLeast = "more than "
		}
		fmt.Fprintf(&b, "%s: %s%s, the newest first\n\n", printable(key), atLeast, plural(n, "object"))
	}
	for i, s := range a.Records {
		if i > 0 {
			b.WriteString("\n")
		}
		writeRecord(&b, s, a.Time)
	}
	return b.String()
}

// writeRecord writes one record. polyclamd has escaped foreign texts; they are escaped again
// in case that it has not.
func writeRecord(b *strings.Builder, s *record.Scan, now time.Time) {
	line := func(what, format string, args ...any) {
		if text := fmt.Sprintf(format, args...); text != "" {
			b.WriteString(printable(fmt.Sprintf("  %-9s %s", what, text)) + "\n")
		}
	}
	b.WriteString(printable(fmt.Sprintf("%s: %s, %s ago", s.Object, outcomeOf(s), age(now.Sub(s.Time)))) + "\n")
	ids := "id " + s.ID
	if s.Tag != "" {
		ids += ", the client's own " + s.Tag
	}
	line("time", "%s, %s", s.Time.Local().Format("2006-01-02 15:04:05.000"), ids)
	line("client", "%s at %s", s.Client, s.Listener)
	line("command", "%s", s.Command)
	if s.NotScanned == "" {
		line("size", "%s", size.Human(s.Size))
	}
	line("sha256", "%s", s.SHA256)
	if len(s.Engines) > 0 {
		writeEngines(b, s.Engines)
	}
	if s.NotScanned == "" {
		line("verdict", "%s, after %s s", verdictOf(s), seconds(s.Elapsed.Seconds()))
	}
	line("reason", "%s", s.Reason)
	line("answer", "%s", s.Reply)
	for _, text := range remedies(s) {
		line("remedy", "%s", text)
	}
}

// outcomeOf returns "virus (quarantine): NAME", or "not scanned: REASON".
func outcomeOf(s *record.Scan) string {
	if s.NotScanned == "" {
		text := fmt.Sprintf("%s (%s)", s.Category, s.Action)
		if len(s.Names) > 0 {
			text += ": " + s.Names[0]
		}
		return text
	}
	text := "not scanned: " + s.NotScanned
	if s.Error != "" {
		text += " (" + s.Error + ")"
	}
	return text
}

// verdictOf returns who decided.
func verdictOf(s *record.Scan) string {
	text := string(s.Category)
	if s.Engine != "" {
		text += " of " + s.Engine
	}
	text += ", action " + s.Action
	if s.ActionBy != "" {
		text += " by " + s.ActionBy
	}
	return text
}

func writeEngines(b *strings.Builder, engines []record.Engine) {
	t := newTable("ENGINE", "CATEGORY", "TIME", "NODE", "NAME", "MESSAGE")
	for i := range engines {
		e := &engines[i]
		category := string(e.Category)
		if e.Failure != "" {
			category += ", " + string(e.Failure)
		}
		if e.Cancelled {
			category = ""
		}
		t.add(e.Engine, category, seconds(e.Elapsed.Seconds()), e.Node, strings.Join(e.Names, ", "), messageOf(e))
	}
	t.write(b, "  ")
}

// messageOf returns what an engine said besides names, and what is special about that.
func messageOf(e *record.Engine) string {
	var parts []string
	if e.Cancelled {
		parts = append(parts, "cancelled, the verdict was already certain")
	}
	for _, text := range []string{e.Detail, e.Error, human.FromCache(e.Cached, e.CachedAge)} {
		if text != "" {
			parts = append(parts, text)
		}
	}
	for _, r := range e.Ruled {
		what := "is " + string(r.Category)
		if r.Category == backends.OK {
			what = "passes"
		}
		parts = append(parts, fmt.Sprintf("(%s %s by the rule '%s')", r.Name, what, r.Rule))
	}
	if !e.Counts && !e.Cancelled {
		parts = append(parts, "(does not count)")
	}
	return strings.Join(parts, " ")
}

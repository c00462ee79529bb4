package proxy

import (
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"polyclam/proxy/policy"
	"polyclam/proxy/spool"
)

const (
	maxLoggedName = 256
	maxLoggedPath = 4096
	maxLoggedList = 16
)

// scanned writes the one line of a scan: who asked, what it was, what every engine
// said and how the client was answered. It runs after the reply, and does not wait for
// the hash of a large object: then the line is written later.
func (r *request) scanned(object string, o *spool.Object, v policy.Verdict, elapsed time.Duration) {
	if calledOff(v) {
		r.notScanned(object, "client gone", nil)
		return
	}
	if !r.s.srv.log.Info().Enabled() {
		return
	}
	if !r.cfg.HashObjects {
		r.scanLine(r.s.client(), object, o.Size(), "", "", v, elapsed)
		return
	}
	who := r.s.client() // the connection may be closed when the line is written
	r.hashed(o, func(sum, leftOut string) { r.scanLine(who, object, o.Size(), sum, leftOut, v, elapsed) })
}

func (r *request) scanLine(who, object string, size int64, sum, leftOut string, v policy.Verdict, elapsed time.Duration) {
	e := r.aboutOf(r.s.srv.log.Info(), who, object).Int64("size", size)
	if sum != "" {
		e = e.Str("sha256", sum)
	}
	if leftOut != "" {
		e = e.Str("sha256_left_out", leftOut)
	}
	e = e.Str("category", string(v.Category)).Str("action", string(v.Action)).Int("code", v.Code)
	if v.Engine != "" {
		e = e.Str("engine", v.Engine)
	}
	if v.ActionBy != v.Engine {
		e = e.Str("action_by", v.ActionBy)
	}
	if len(v.Names) > 0 {
		e = e.Strs("names", escapeAll(v.Names))
	}
	engines := zerolog.Dict()
	for _, report := range v.Reports {
		engines = engines.Dict(escape(report.Engine, maxLoggedName), engineFields(report))
	}
	e.Float64("ms", milliseconds(elapsed)).Dict("engines", engines).Msg("scanned")
}

// engineFields is what one engine said.
func engineFields(report policy.Judged) *zerolog.Event {
	d := zerolog.Dict().Str("category", string(report.Category))
	if report.Cancelled {
		return d.Bool("cancelled", true)
	}
	d = d.Float64("ms", milliseconds(report.Elapsed))
	if len(report.Names) > 0 {
		d = d.Strs("names", escapeAll(report.Names))
	}
	if !report.Category.IsFailure() && report.Failure != "" {
		d = d.Str("failure", string(report.Failure))
	}
	d = passedFields(d, report.Ruled)
	if report.Result.Detail != "" {
		d = d.Str("detail", escape(report.Result.Detail, maxLoggedName))
	}
	if report.Err != nil {
		d = d.Str("error", escape(report.Err.Error(), 2*maxLoggedName))
	}
	if report.Node != "" {
		d = d.Str("node", report.Node)
	}
	if !report.Counts {
		d = d.Bool("counts", false)
	}
	return d
}

// passedFields are the findings that a rule let pass, and that rule for each.
func passedFields(d *zerolog.Event, ruled []policy.Ruled) *zerolog.Event {
	var names, rules []string
	for _, r := range ruled {
		if r.Passed() {
			names, rules = append(names, r.Name), append(rules, r.Rule)
		}
	}
	if len(names) == 0 {
		return d
	}
	return d.Strs("passed", escapeAll(names)).Strs("rule", escapeAll(rules))
}

// notScanned writes the line of a request whose content came to no engine.
func (r *request) notScanned(object, reason string, err error) {
	e := r.about(r.s.srv.log.Info(), object).Str("reason", escape(reason, maxLoggedName))
	if err != nil {
		e = e.Str("error", escape(err.Error(), 2*maxLoggedName))
	}
	e.Msg("not scanned")
}

// about adds what every line of a request says.
func (r *request) about(e *zerolog.Event, object string) *zerolog.Event {
	return r.aboutOf(e, r.s.client(), object)
}

func (r *request) aboutOf(e *zerolog.Event, who, object string) *zerolog.Event {
	return e.Uint64("id", r.number).Str("client", who).Str("listener", r.s.address).
		Str("command", string(r.cmd.Verb)).Str("object", escape(object, maxLoggedPath))
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}

func escapeAll(names []string) []string {
	out := make([]string, 0, min(len(names), maxLoggedList))
	for _, n := range names[:min(len(names), maxLoggedList)] {
		out = append(out, escape(n, maxLoggedName))
	}
	return out
}

// escape makes hostile bytes harmless for every kind of log: what is not printable
// ASCII becomes \xNN, a backslash is doubled, and what is over limit bytes is cut.
func escape(s string, limit int) string {
	cut := len(s) > limit
	if cut {
		s = s[:limit]
	}
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\\':
			b.WriteString(`\\`)
		case c < 0x20 || c >= 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	if cut {
		b.WriteString("...")
	}
	return b.String()
}

// peer names the process at the other end of a Unix socket.
func peer(nc net.Conn) string {
	uc, ok := nc.(*net.UnixConn)
	if !ok {
		return "unix"
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return "unix"
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err != nil || credErr != nil {
		return "unix"
	}
	return fmt.Sprintf("unix:uid=%d,pid=%d", cred.Uid, cred.Pid)
}

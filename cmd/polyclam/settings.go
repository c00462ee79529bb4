package main

import (
	"fmt"
	"strings"

	"polyclam/cmd/internal/config"
	"polyclam/cmd/internal/migrate"
	"polyclam/cmd/internal/size"
	"polyclam/proxy/ops/judge"
)

// The defaults of clamd 1.4.6.
const (
	clamdThreads   = 10
	clamdFileSize  = 100 << 20
	clamdScanSize  = 400 << 20
	clamdStreamMax = 100 << 20
)

// settings reports what in the clamd.conf of each engine on this machine does not fit. What
// a trial has shown is not repeated.
func (in *inspection) settings(trials []trial) (list []finding) {
	for i := range trials {
		tr := &trials[i]
		e := in.engine(tr.engine)
		if !tr.isClamd() || e == nil {
			continue
		}
		c, ok := migrate.ConfOf(in.root, tr.node)
		if !ok {
			continue
		}
		for _, f := range []*finding{heuristicsSetting(c, tr), in.sizeSetting(c, e, tr), in.streamSetting(c, e, tr), threadSetting(c, e), queueSetting(c, e), excludeSetting(c)} {
			if f != nil {
				list = append(list, finding{tr.name() + ": " + f.text, f.exit})
			}
		}
	}
	return list
}

func heuristicsSetting(c migrate.ClamdConf, tr *trial) *finding {
	at, on := c.Enabled("HeuristicScanPrecedence")
	if !on || tr.hidesVirus() {
		return nil
	}
	return &finding{at + ": " + judge.HeuristicsFirst, exitOK}
}

// sizeSetting reports limits above which clamd says OK without a scan.
func (in *inspection) sizeSetting(c migrate.ClamdConf, e *config.Engine, tr *trial) *finding {
	if _, on := c.Enabled("AlertExceedsMax"); on || tr.size.tried > 0 {
		return nil
	}
	largest := in.largest(e)
	var low []string
	for _, l := range []struct {
		key   string
		usual int64
	}{{"MaxFileSize", clamdFileSize}, {"MaxScanSize", clamdScanSize}} {
		n, at, given := c.Bytes(l.key)
		if !given {
			n, at = l.usual, fmt.Sprintf("%s without %s, whose default is %s", c.Path(), l.key, size.FormatClamd(l.usual))
		}
		if n < largest {
			low = append(low, at)
		}
	}
	if len(low) == 0 {
		return nil
	}
	return &finding{fmt.Sprintf("%s: clamd reports OK for larger objects without scanning them, and polyclam sends it up to %s: raise the limit, set AlertExceedsMax yes, or lower max_size",
		strings.Join(low, "; "), size.Human(largest)), exitPartial}
}

// streamSetting reports a limit above which clamd refuses a stream. Over a Unix socket it
// gets a descriptor.
func (in *inspection) streamSetting(c migrate.ClamdConf, e *config.Engine, tr *trial) *finding {
	if strings.HasPrefix(tr.node, "unix:") {
		return nil
	}
	n, at, given := c.Bytes("StreamMaxLength")
	if !given {
		n, at = clamdStreamMax, fmt.Sprintf("%s without StreamMaxLength, whose default is %s", c.Path(), size.FormatClamd(clamdStreamMax))
	}
	if largest := in.largest(e); n < largest {
		return &finding{fmt.Sprintf("%s: clamd refuses longer streams, so clients get ERROR, and polyclam sends it up to %s: raise StreamMaxLength, or lower max_size", at, size.Human(largest)), exitOK}
	}
	return nil
}

// largest returns the size of the largest object that an engine gets.
func (in *inspection) largest(e *config.Engine) int64 {
	switch {
	case e.MaxSize > 0:
		return e.MaxSize
	case in.file.Limits.Stream > 0:
		return in.file.Limits.Stream
	}
	return clamdMaxSize
}

// threadSetting reports fewer threads than scans.
func threadSetting(c migrate.ClamdConf, e *config.Engine) *finding {
	n, at, given := c.Number("MaxThreads")
	if !given {
		n, at = clamdThreads, fmt.Sprintf("%s without MaxThreads, whose default is %d", c.Path(), clamdThreads)
	}
	if int64(e.MaxScans) <= n {
		return nil
	}
	return &finding{fmt.Sprintf("%s: max_scans is %d, so scans wait inside clamd while their timeout runs: set max_scans = %d, or raise MaxThreads", at, e.MaxScans, n), exitOK}
}

// queueSetting reports a queue that is shorter than the number of scans: clamd 1.4.6 then
// accepts no connection, not even for PING. It raises MaxQueue to twice MaxThreads.
func queueSetting(c migrate.ClamdConf, e *config.Engine) *finding {
	n, at, given := c.Number("MaxQueue")
	threads, _, some := c.Number("MaxThreads")
	if !some {
		threads = clamdThreads
	}
	if !given || int64(e.MaxScans) < max(n, 2*threads) {
		return nil
	}
	return &finding{fmt.Sprintf("%s: max_scans is %d, and a clamd whose queue is full accepts no connections: set MaxQueue to at least %d, or lower max_scans", at, e.MaxScans, 2*e.MaxScans), exitOK}
}

// excludeSetting reports paths that clamd leaves out: polyclam hands over objects, not paths.
func excludeSetting(c migrate.ClamdConf) *finding {
	lines := c.Lines("ExcludePath")
	if len(lines) == 0 {
		return nil
	}
	return &finding{strings.Join(lines, "; ") + ": this has no effect on scans by polyclam, which hands over objects without their paths: such files are scanned; to refuse paths, set scan_paths", exitOK}
}

package replay

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/cmd/internal/config"
	"polyclam/proxy"
	"polyclam/proxy/engine"
	"polyclam/proxy/spool"
	"polyclam/test/testkit"
)

// names are signature names, some of which the rules of the configurations match.
var names = []string{"Win.Virus-1", "PUA.Tool", "Heuristics.Encrypted.Zip", "Heuristics.Limits.Exceeded", "Joke", "Tab\tand\\back\x80slash", "end...", strings.Repeat("x", maxLoggedName-3) + "...", ""}

// longName is cut off in the log, so a scan with it is not judged if a rule could match it.
var longName = strings.Repeat("Long.", 80)

func someName(r *rand.Rand) string {
	if r.IntN(100) == 0 {
		return longName
	}
	return names[r.IntN(len(names))]
}

// pretend is an engine whose results depend on the number in the object, and on nothing else.
type pretend struct{ seed uint64 }

// Scan implements [backends.Backend].
func (p pretend) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	b := make([]byte, o.Size())
	if _, err := o.ReadAt(b, 0); err != nil && err != io.EOF {
		return backends.Result{}, err
	}
	n, err := strconv.ParseUint(string(b), 10, 64)
	if err != nil {
		return backends.Result{}, err
	}
	r := rand.New(rand.NewPCG(n, p.seed))
	if r.IntN(4) == 0 { // slow, so that it may be cancelled
		select {
		case <-ctx.Done():
			return backends.Result{}, context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
	switch r.IntN(10) {
	case 0, 1, 2, 3:
		return backends.Clean(0), nil
	case 4, 5:
		return backends.Found(1, someName(r)), nil
	case 6:
		return anything(r), nil
	case 7:
		return backends.Result{}, failures(r)
	case 8:
		return anything(r), failures(r)
	}
	return backends.Result{Category: someCategory(r), Code: r.IntN(5)}, nil
}

func someCategory(r *rand.Rand) backends.Category {
	if r.IntN(20) == 0 {
		return "maybe"
	}
	all := backends.Categories()
	return all[r.IntN(len(all))]
}

// anything is a result with several findings, whose category may be none of theirs.
func anything(r *rand.Rand) (res backends.Result) {
	n := 1 + r.IntN(4)
	if r.IntN(10) == 0 {
		n = 15 + r.IntN(10)
	}
	for range n {
		res.Findings = append(res.Findings, backends.Finding{Name: someName(r), Category: someCategory(r)})
	}
	if r.IntN(2) == 0 {
		res.Category = backends.Strongest(res.Findings)
	} else {
		res.Category = someCategory(r)
	}
	return res
}

// failures is what the engine itself reported: other errors make the server avoid the node,
// and later results would depend on that.
func failures(r *rand.Rand) error {
	var all backends.Failures
	for range 1 + r.IntN(3) {
		c := []backends.Category{backends.SWErr, backends.Interrupted, backends.CannotExecute, backends.NotInstalled}[r.IntN(4)]
		all = append(all, &backends.Failure{Category: c, Code: r.IntN(100), Text: "failed"})
	}
	if len(all) == 1 {
		return all[0]
	}
	return all
}

// engineTables are those of all configurations below.
func engineTables(optional ...string) (text string) {
	for _, name := range []string{"alpha", "beta", "gamma", "delta"} {
		required := true
		for _, o := range optional {
			required = required && o != name
		}
		text += fmt.Sprintf("[[engine]]\nname = %q\nbackend = \"inspect\"\nrequired = %v\n", name, required)
	}
	return text
}

var (
	configA = engineTables("gamma", "delta") + `
[[rule]]
name = '^PUA\.'
category = "ok"
[[rule]]
engine = "alpha"
name = '^Heuristics\.Limits'
category = "partial"
[policy.actions]
encrypted = "quarantine"
`
	configB = engineTables("beta", "gamma") + `
[[rule]]
name = '^PUA\.'
category = "suspicious"
[[rule]]
name = "^Tab\t"
category = "ok"
[policy]
first_virus = "wait"
precedence = ["virus", "swerr", "encrypted", "suspicious", "interrupted", "partial", "not-installed", "cannot-execute", "ok"]
[policy.actions]
suspicious = "tempfail"
not-installed = "ok"
partial = "quarantine"
`
	configC = engineTables("alpha", "beta", "gamma", "delta") + `
[policy]
action = "category"
[policy.actions]
suspicious = "ok"
cannot-execute = "quarantine"
`
)

// lockedBuffer collects log lines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// runServer scans the objects 0 to n-1 under a configuration, and returns the log. The
// listener has the address of the configuration, wherever its socket is.
func runServer(t *testing.T, f *config.File, n int) string {
	t.Helper()
	dir := testkit.SocketDir(t)
	sp, err := spool.New(spool.Config{Memory: 64 << 10, Total: 64 << 20, Store: spool.Memfd, Dir: dir, PathMode: 0o600, PathGroup: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer sp.Close()
	profile := f.Listeners[0].Profile()
	cfg := &proxy.Config{
		Listeners: []proxy.Listener{{Address: f.Listeners[0].Address, Profile: profile, Policy: f.ListenerPolicy(&f.Listeners[0])}},
		Limits:    proxy.DefaultLimits(),
		Hash:      proxy.HashAlways,
	}
	for i := range f.Engines {
		e := &f.Engines[i]
		cfg.Engines = append(cfg.Engines, engine.New(engine.Config{
			Name: e.Name, Kind: "fake", Required: e.Required, Timeout: time.Minute, MaxDelay: time.Minute, MaxScans: 32,
			Nodes: []engine.Node{{Backend: pretend{uint64(i)}}}, Log: zerolog.Nop(),
		}))
	}
	log := &lockedBuffer{}
	srv := proxy.NewServer(proxy.ServerOptions{Config: cfg, Spool: sp, Log: zerolog.New(log).With().Timestamp().Logger()})
	ln, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln, f.Listeners[0].Address) }()
	scanAll(t, filepath.Join(dir, "s"), n)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil { // writes the last log lines
		t.Fatal(err)
	}
	if err := <-served; !errors.Is(err, proxy.ErrServerClosed) {
		t.Fatal(err)
	}
	return log.b.String()
}

// scanAll scans the objects in several sessions.
func scanAll(t *testing.T, path string, n int) {
	t.Helper()
	const sessions = 4
	var wg sync.WaitGroup
	for s := range sessions {
		wg.Go(func() {
			nc, err := net.Dial("unix", path)
			if err != nil {
				t.Error(err)
				return
			}
			defer nc.Close()
			go func() {
				io.WriteString(nc, "nIDSESSION\n")
				for i := s; i < n; i += sessions {
					object := strconv.Itoa(i)
					b := append([]byte("nINSTREAM\n"), binary.BigEndian.AppendUint32(nil, uint32(len(object)))...)
					nc.Write(append(append(b, object...), 0, 0, 0, 0))
				}
				nc.(*net.UnixConn).CloseWrite()
			}()
			replies, err := io.ReadAll(nc)
			if got, want := bytes.Count(replies, []byte("\n")), (n-s+sessions-1)/sessions; err != nil || got != want {
				t.Errorf("%d replies, want %d: %v", got, want, err)
			}
		})
	}
	wg.Wait()
}

// bySHA returns the verdicts in a log by the object's hash.
func bySHA(t *testing.T, log string) map[string]Verdict {
	t.Helper()
	all := map[string]Verdict{}
	for line := range strings.Lines(log) {
		s, err := Parse([]byte(line))
		if err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all[shaOf(line)] = s.Verdict
	}
	return all
}

func shaOf(line string) string {
	var l struct {
		SHA256 string `json:"sha256"`
	}
	json.Unmarshal([]byte(line), &l)
	return l.SHA256
}

// TestAgainstSecondRun scans objects under one configuration, and again under another.
// Judging the first log by the second configuration must give the verdicts of the second
// run, and judging it by its own configuration no difference. POLYCLAM_REPLAY is the number
// of objects.
func TestAgainstSecondRun(t *testing.T) {
	n := 1000
	if text := os.Getenv("POLYCLAM_REPLAY"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	const listener = "[[listener]]\naddress = \"unix:/run/polyclam/clamd.sock\"\n"
	var files []*config.File
	var judges []*Judge
	var logs []string
	var verdicts []map[string]Verdict
	for _, text := range []string{configA, configB, configC} {
		f, err := config.Parse("x.toml", []byte(listener+text))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
		judges = append(judges, NewJudge(t.Context(), f, net.DefaultResolver))
		logs = append(logs, runServer(t, f, n))
		verdicts = append(verdicts, bySHA(t, logs[len(logs)-1]))
		if got := len(verdicts[len(verdicts)-1]); got != n {
			t.Fatalf("%d lines with different hashes, want %d", got, n)
		}
	}
	for from := range files {
		for to := range files {
			t.Run(fmt.Sprintf("%d to %d", from, to), func(t *testing.T) {
				compareRuns(t, logs[from], judges[to], verdicts[to], from == to)
			})
		}
	}
}

// compareRuns compares the judgements of a log with the verdicts of a second run.
func compareRuns(t *testing.T, log string, j *Judge, second map[string]Verdict, own bool) {
	judged, different, wrong := 0, 0, 0
	changes := map[[2]string]int{}
	for line := range strings.Lines(log) {
		s, err := Parse([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		v, err := j.Judge(s)
		var reason Reason
		if errors.As(err, &reason) {
			if reason.Text != namesCut && (own || reason.Text != cancelled) {
				t.Errorf("not judged: %v: %s", err, line)
			}
			continue
		}
		judged++
		want := second[shaOf(line)]
		if v.kind() != want.kind() {
			if wrong++; wrong < 5 {
				t.Errorf("judged %s, the second run says %s: %s", v.kind(), want.kind(), line)
			}
		}
		if s.Verdict.kind() != want.kind() {
			different++
			changes[[2]string{s.Verdict.kind(), want.kind()}]++
		}
	}
	r, err := NewReader(strings.NewReader(log))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := Compare(r, j, 7)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d of %d scans judged, %d different, %d kinds, not judged: %v", judged, len(second), different, len(changes), sum.NotJudged)
	if sum.Judged != judged || sum.Different != different || len(sum.Changes) != len(changes) || sum.Other+sum.Long != 0 {
		t.Errorf("the summary is %+v, want %d judged and %d different", sum, judged, different)
	}
	for _, c := range sum.Changes {
		if changes[[2]string{c.From, c.To}] != c.Count {
			t.Errorf("%+v, want %d", c, changes[[2]string{c.From, c.To}])
		}
	}
	switch {
	case judged < len(second)*3/4:
		t.Errorf("only %d of %d judged", judged, len(second))
	case own && different > 0:
		t.Errorf("%d differ from their own configuration", different)
	case !own && different < len(second)/20:
		t.Errorf("only %d of %d differ, so nothing was tested", different, len(second))
	}
}

// fromCache returns a log in which the results of every engine that was not cancelled come
// from the cache, as proxy/audit.go writes that.
func fromCache(t *testing.T, log string) string {
	t.Helper()
	var b strings.Builder
	for i, text := range strings.Split(strings.TrimSuffix(log, "\n"), "\n") {
		var fields map[string]any
		if err := json.Unmarshal([]byte(text), &fields); err != nil {
			t.Fatal(err)
		}
		for _, e := range fields["engines"].(map[string]any) {
			if e := e.(map[string]any); e["cancelled"] == nil {
				e["cached"], e["cached_age_ms"] = []string{"memory", "shared", "joined"}[i%3], i
				delete(e, "node")
			}
		}
		delete(fields, "sha256") // [log] sha256 may leave it out
		out, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(out, '\n'))
	}
	return b.String()
}

// TestCachedReports checks that results from the cache are judged as those of engines are.
func TestCachedReports(t *testing.T) {
	const listener = "[[listener]]\naddress = \"unix:/run/polyclam/clamd.sock\"\n"
	read := func(text string) *config.File {
		f, err := config.Parse("x.toml", []byte(listener+text))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	a := read(configA)
	log := runServer(t, a, 300)
	cached := fromCache(t, log)
	if strings.Count(cached, `"cached"`) < 300 {
		t.Fatal("no results from the cache")
	}
	for name, f := range map[string]*config.File{"a": a, "b": read(configB), "c": read(configC)} {
		j := NewJudge(t.Context(), f, net.DefaultResolver)
		compare := func(log string) string {
			r, err := NewReader(strings.NewReader(log))
			if err != nil {
				t.Fatal(err)
			}
			s, err := Compare(r, j, 1000)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := json.Marshal(s)
			if s.Judged < 200 || name == "a" && s.Different > 0 {
				t.Errorf("%s: %d judged, %d different", name, s.Judged, s.Different)
			}
			return string(text)
		}
		if fresh, cached := compare(log), compare(cached); fresh != cached {
			t.Errorf("%s: fresh results give\n%s\nresults from the cache\n%s", name, fresh, cached)
		}
	}
}

package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// The ways of N5 after the direct one.
const (
	cacheOff  = 1 + iota // unique objects, no cache
	cacheMiss            // unique objects, a cache in memory
	cacheHit             // repeated objects, a cache in memory
	redisHit             // repeated objects, a cache in Redis alone
)

// cacheKey authenticates entries in Redis.
const cacheKey = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"

// cacheTTL makes the results of the bench's clamd, which has only made-up signatures and
// so no version, cacheable.
const cacheTTL = "cache_ttl = \"1h\"\n"

func memoryCache(size string) string { return "[cache]\nmemory = \"" + size + "\"\n" }

// cacheGoal measures N5 with a real clamd and a real Redis.
func cacheGoal(ctx context.Context, w *world, out io.Writer) ([]cell, error) {
	base, err := w.clamd()
	if err != nil {
		return nil, err
	}
	if reason := w.noCache(base); reason != "" {
		return cachePoints(func(cachePoint) ([]float64, string, error) { return nil, "", nil }, reason)
	}
	e := &engine{name: "cache", daemon: base.daemon, ways: base.ways[:1:1]}
	for _, f := range []front{
		{name: "cache-off", config: memoryCache("0")},
		{name: "cache-miss", keys: cacheTTL, config: memoryCache("32MiB")},
		{name: "cache-hit", keys: cacheTTL, config: memoryCache("32MiB")},
	} {
		f.program, f.engines = "polyclam", []string{base.ways[direct].socket}
		y, err := w.inFront(f)
		if err != nil {
			return nil, err
		}
		y.name, y.repeat = f.name, f.name == "cache-hit"
		e.ways = append(e.ways, y)
	}
	noRedis, err := w.addRedis(e, base.ways[direct].socket)
	if err != nil {
		return nil, err
	}
	rows := map[load]*row{}
	cold := "" // why there are no hits
	return cachePoints(func(p cachePoint) ([]float64, string, error) {
		if p.way == redisHit && noRedis != "" {
			return nil, "", fmt.Errorf("%w: %s", errNotMeasured, noRedis)
		}
		r := rows[p.load]
		if r == nil {
			if cold == "" {
				cold = w.warm(ctx, e, p.load)
			}
			if cold != "" {
				return nil, "", fmt.Errorf("%w: %s", errNotMeasured, cold)
			}
			if r, err = w.measure(ctx, e, p.load); err != nil {
				return nil, "", err
			}
			rows[p.load] = r
		}
		return r.over(p.of, p.way, p.by), absolute(p.want, &r.ways[p.way]) + " to " + absolute(p.want, &r.ways[p.by]), nil
	}, "")
}

// A cachePoint is a value of N5.
type cachePoint struct {
	load
	want
	way  int
	text string
}

var cacheList = []cachePoint{
	{load{body: bodyMail, size: 10 * kb, clients: 1}, p50Of(direct, 0.08), cacheHit, "hit, p50 to direct"},
	{load{body: bodyMail, size: 100 * kb, clients: 1}, p50Of(direct, 0.045), cacheHit, "hit, p50 to direct"},
	{load{body: bodyMail, size: mb, clients: 1}, p50Of(direct, 0.028), cacheHit, "hit, p50 to direct"},
	{load{body: bodyMail, size: 10 * kb, clients: 16}, rateOf(direct, 18), cacheHit, "hit, scans/s to direct"},
	{load{body: bodyMail, size: 100 * kb, clients: 16}, rateOf(direct, 29), cacheHit, "hit, scans/s to direct"},
	{load{body: bodyMail, size: 10 * kb, clients: 1}, p50Of(direct, 0.13), redisHit, "hit in Redis, p50 to direct"},
	{load{body: bodyMail, size: 10 * kb, clients: 1}, p50Of(cacheOff, 1.02), cacheMiss, "miss, p50 to no cache"},
	{load{body: bodyMail, size: 100 * kb, clients: 1}, p50Of(cacheOff, 1.02), cacheMiss, "miss, p50 to no cache"},
	{load{body: bodyMail, size: mb, clients: 1}, p50Of(cacheOff, 1.02), cacheMiss, "miss, p50 to no cache"},
}

// errNotMeasured says why a value could not be measured, where that is no failure.
var errNotMeasured = fmt.Errorf("not measured")

// cachePoints measures the values of N5, or says why they are not.
func cachePoints(measure func(cachePoint) (values []float64, absolute string, err error), skipped string) ([]cell, error) {
	var cells []cell
	for _, p := range cacheList {
		c := cell{goal: "N5", what: p.text + ", " + p.load.String(), limit: p.limit, least: p.least, skipped: skipped}
		if skipped == "" {
			var err error
			c.values, c.measured, err = measure(p)
			if reason, ok := strings.CutPrefix(fmt.Sprint(err), errNotMeasured.Error()+": "); ok {
				c.skipped = reason
			} else if err != nil {
				return nil, err
			}
		}
		cells = append(cells, c)
	}
	return cells, nil
}

// noCache says why this build cannot cache, or nothing.
func (w *world) noCache(e *engine) string {
	f := front{engines: []string{e.ways[direct].socket}, keys: cacheTTL, config: memoryCache("32MiB")}
	conf := w.write("cache-check.conf", polyclamConf(w.socket("cache-check"), f))
	out, err := exec.Command(w.options.binary, "--check-file", "--config="+conf).CombinedOutput()
	switch {
	case err == nil:
		return ""
	case strings.Contains(string(out), "unknown"):
		return "this build has no [cache]"
	}
	return oneLine(string(out))
}

// oneLine is a program's message, short enough for a table.
func oneLine(s string) string {
	s = strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", "/")
	return s[:min(len(s), 120)]
}

// addRedis adds the way with a cache in Redis alone to an engine, or says why there is none.
func (w *world) addRedis(e *engine, engine string) (reason string, err error) {
	program, err := find("redis-server")
	if err != nil {
		return err.Error(), nil
	}
	name := "redis-" + e.name
	socket := w.socket(name)
	if _, err := w.launch(name, program, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", w.dir); err != nil {
		return "", err
	}
	config := fmt.Sprintf("[cache]\nmemory = \"0\"\nredis = %q\nkey_file = %q\n", "unix:"+socket, w.write(name+".key", cacheKey))
	y, err := w.inFront(front{program: "polyclam", name: "cache-" + name, engines: []string{engine}, keys: cacheTTL, config: config})
	if err != nil {
		return oneLine(err.Error()), nil
	}
	y.name, y.repeat = "cache-redis", true
	e.ways = append(e.ways, y)
	return "", nil
}

const (
	warmTime  = 30 * time.Second
	warmScans = 40
)

// warm scans the objects that repeat until the engine no longer sees them: a result counts
// only after the node has passed another health check. It says why it gave up.
func (w *world) warm(ctx context.Context, e *engine, l load) string {
	for i, y := range e.ways {
		if !y.repeat {
			continue
		}
		for end := time.Now().Add(warmTime); ; {
			hits, err := w.hits(y, l, e)
			if err != nil {
				return oneLine(err.Error())
			}
			if hits {
				break
			}
			if time.Now().After(end) || ctx.Err() != nil {
				return fmt.Sprintf("%s had no hit within %v", e.ways[i].name, warmTime)
			}
			time.Sleep(300 * time.Millisecond)
		}
	}
	return ""
}

// hits reports whether scans of the objects that repeat cost the engine next to nothing:
// scanning one, or knowing it, costs clamd more than 100 us.
func (w *world) hits(y way, l load, e *engine) (bool, error) {
	c := newClient(y.socket, hang)
	before, n := y.engineCPU(e), 0
	objects := newTeam(l).repeats()
	for n < warmScans {
		for _, r := range objects {
			if _, err := c.scan(r.bytes); err != nil {
				return false, err
			}
			n++
		}
	}
	return y.engineCPU(e)-before < time.Duration(n)*20*time.Microsecond, nil
}

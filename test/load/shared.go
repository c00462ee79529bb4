package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const clamdThreads = 10

var sharedParts = []part{
	{"shared/one", "One polyclamd in front of a clamd with ten threads: what shared/five is compared with.",
		func(ctx context.Context, t *trial) error { return t.shared(ctx, 1) }},
	{"shared/five", "Five polyclamds, ten slots each, in front of one clamd with ten threads.",
		func(ctx context.Context, t *trial) error { return t.shared(ctx, 5) }},
}

// shared measures hosts that share a real clamd, with the same number of clients in all.
func (t *trial) shared(ctx context.Context, hosts int) error {
	socket, err := t.clamd(ctx)
	if err != nil {
		return err
	}
	var daemons []*daemon
	for i := range hosts {
		d, err := t.polyclamdWith(ctx, settings{
			name:    "host" + strconv.Itoa(i+1),
			engines: []engineConfig{{"clamav", []string{socket}, "max_scans = 10\n"}},
		})
		if err != nil {
			return err
		}
		daemons = append(daemons, d)
	}
	for _, clients := range []int{40, 100} {
		if err := t.sharedBy(ctx, way{network: "unix", address: socket}, daemons, clients); err != nil {
			return err
		}
	}
	return nil
}

// sharedBy measures one number of clients.
func (t *trial) sharedBy(ctx context.Context, clamd way, daemons []*daemon, clients int) error {
	name := fmt.Sprintf("%d clients", clients)
	length := t.length(30*time.Second, 3*time.Second)
	var loads []*load
	var longest, samples int
	var total float64
	within(ctx, length, func(during context.Context) {
		for _, d := range daemons {
			l := newLoad(ctx, d.unix())
			l.size = 20 << 10
			l.clients(during, clients/len(daemons))
			loads = append(loads, l)
		}
		for pause(during, 100*time.Millisecond) == nil {
			if n, ok := queued(ctx, clamd); ok {
				longest, total, samples = max(longest, n), total+float64(n), samples+1
			}
		}
	})
	var all outcomes
	var each []string
	for _, l := range loads {
		o := l.wait()
		each = append(each, strconv.Itoa(o.count(ok)))
		all = append(all, o...)
	}
	t.row(name, "%s; %.0f a second", all.breakdown(), float64(all.count(ok))/length.Seconds())
	t.row(name+": times", "%s", quantiles(all.times(answered)))
	t.row(name+": answers of each host", "%s", strings.Join(each, ", "))
	t.row(name+": queue of clamd", "at most %d, mean %.1f (%d samples)", longest, total/float64(max(samples, 1)), samples)
	var limits []string
	for _, d := range daemons {
		limit := d.counters(ctx, "limit")
		if limit == "" {
			limit = "none"
		}
		limits = append(limits, limit)
	}
	t.row(name+": limits at the end", "%s", strings.Join(limits, ", "))
	return nil
}

// queued is the number of scans that wait in clamd for a thread.
func queued(ctx context.Context, clamd way) (n int, ok bool) {
	stats, err := exchange(ctx, clamd, []byte("zSTATS\x00"), hang, false)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(stats) {
		words := strings.Fields(line)
		if len(words) >= 3 && words[0] == "QUEUE:" {
			items, err := strconv.Atoi(words[1])
			return items, err == nil
		}
	}
	return 0, false
}

// clamd starts a real clamd with one signature, and returns its socket.
func (t *trial) clamd(ctx context.Context) (socket string, err error) {
	program, err := exec.LookPath("clamd")
	if err != nil {
		program = "/usr/sbin/clamd" // where Debian has it
	}
	socket = t.path("clamd.sock")
	db := t.path("db")
	// EICAR in hexadecimal digits, anywhere in any file.
	const signature = "Eicar-Test-Signature:0:*:58354f2150254041505b345c505a58353428505e2937434329377d24" +
		"45494341522d5354414e444152442d414e544956495255532d544553542d46494c452124482b482a\n"
	conf := fmt.Sprintf("Foreground yes\nLocalSocket %s\nDatabaseDirectory %s\nTemporaryDirectory %s\nSelfCheck 0\nMaxThreads %d\n",
		socket, db, t.dir, clamdThreads)
	err = errors.Join(os.Mkdir(db, 0o755), os.WriteFile(filepath.Join(db, "test.ndb"), []byte(signature), 0o600),
		os.WriteFile(t.path("clamd.conf"), []byte(conf), 0o600))
	if err != nil {
		return "", err
	}
	if _, err := t.start("clamd", exec.Command(program, "--config-file="+t.path("clamd.conf")), nil); err != nil {
		return "", err
	}
	for end := time.Now().Add(hang); ; {
		if _, err = exchange(ctx, way{network: "unix", address: socket}, []byte("zPING\x00"), hang, false); err == nil {
			return socket, nil
		}
		if time.Now().After(end) {
			return "", fmt.Errorf("clamd does not answer: %w", err)
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return "", err
		}
	}
}

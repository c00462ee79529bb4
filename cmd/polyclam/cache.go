package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"polyclam/cmd/internal/cli"
	"polyclam/cmd/internal/size"
	"polyclam/proxy/ops/admin"
	"polyclam/proxy/ops/human"
)

const (
	cacheStats = "stats"
	cacheFlush = "flush"
)

var cacheActions = []string{cacheStats, cacheFlush}

func (t *tool) cacheCommand() *cobra.Command {
	var o steerOptions
	shared := false
	cmd := t.steerCommand(&cobra.Command{
		Use:   "cache stats|flush",
		Short: "Show what the cache of results holds and spares, or empty it",
		Long: `"stats" shows how many results of each engine came from the cache since polyclamd was
started, what it holds, and the state of the store that hosts share. MEMORY and SHARED are
results that were found there, JOINED those of an identical scan that was under way. SCANNED
are objects that no store had. HIT RATE is the share of these for which the engine was not
asked. NOT CACHED are objects for which the cache could not be asked; lines below the table
say why. Files that clients name or hand over (SCAN, CONTSCAN, FILDES) use results, but none
is kept of them: a client could change its file during the scan.

"flush" makes polyclamd forget all results in its memory, and those that wait for a health
check. Results in the shared store stay, and count again when they are asked for. With
--shared they are flushed too, and the memory of all hosts that use the store. As every host
then scans everything again, that needs --force.

` + steerHelp,
		Example: `  polyclam cache stats
  polyclam cache flush
  polyclam cache flush --shared --force`,
		Args: wantArguments(1, cacheActions, "action"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return complete(nil, prefix)
			}
			return complete(cacheActions, prefix)
		},
	}, &o, func(args []string) (int, error) {
		if args[0] == cacheFlush {
			return t.flushCache(o, shared)
		}
		if shared || o.force {
			return 0, cli.Usagef("--shared and --force are for cache flush")
		}
		return t.showCache(o)
	})
	cmd.Flags().BoolVar(&shared, "shared", false, "flush the store that hosts share too")
	cmd.Flags().BoolVar(&o.force, "force", false, "do it although every host scans everything again then")
	return cmd
}

func (t *tool) flushCache(o steerOptions, shared bool) (int, error) {
	var answer admin.Flushed
	body := map[string]any{"shared": shared, "force": o.force}
	if err := t.steer(adminTimeout, "/cache/flush", body, &answer, "", ""); err != nil {
		return 0, err
	}
	if o.json {
		return exitOK, t.write(jsonLine(answer))
	}
	text := "the memory is flushed (it had " + plural(int64(answer.Entries), "result") + ")"
	switch {
	case answer.Shared:
		text += "; the shared store is flushed too, and the other hosts follow within a few seconds"
	case answer.Kept:
		text += "; the shared store keeps its results, --shared flushes it too"
	}
	return exitOK, printLines(t.stdout, text)
}

func (t *tool) showCache(o steerOptions) (int, error) {
	c, err := t.newAdminClient()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), reachTimeout, noAnswer{reachTimeout})
	defer cancel()
	var answer admin.Cache
	if err := c.get(ctx, "/cache", &answer); err != nil {
		return 0, err
	}
	if o.json {
		return exitOK, t.write(jsonLine(answer))
	}
	return exitOK, t.write(cacheText(&answer))
}

// cacheText returns the state of the cache for people.
func cacheText(c *admin.Cache) string {
	var b strings.Builder
	line := func(format string, args ...any) { b.WriteString(printable(fmt.Sprintf(format, args...)) + "\n") }
	if !c.On {
		line(`the cache is off: the configuration has memory = "0" and no redis in [cache]`)
	}
	if m := c.Memory; m.Limit > 0 {
		line("memory: %s in %s of %s, %s added, %s removed for lack of room",
			plural(int64(m.Entries), "result"), size.Human(m.Bytes), size.Human(m.Limit), unsigned(m.Added), unsigned(m.Evicted))
	} else if c.On {
		line("memory: off")
	}
	if s := c.Shared; s != nil {
		line("shared store: %s at %s", s.State, s.Address)
		if s.Reason != "" {
			line("  reason: %s", s.Reason)
		}
		if s.Hint != "" {
			line("  hint: %s", s.Hint)
		}
		line("  %s hits, %s misses, %s written, %s writes lost", unsigned(s.Hits), unsigned(s.Misses), unsigned(s.Added), unsigned(s.Dropped))
		line("  without an answer: %s late, %s failed, %s not asked", unsigned(s.Late), unsigned(s.Failed), unsigned(s.Skipped))
		line("  rejected: %s not genuine, damaged or too old", unsigned(s.Forged))
	} else if c.On {
		line("shared store: none")
	}
	if p := c.Pending; c.On {
		line("waiting for a health check: %d; confirmed %s, dropped %s", p.Waiting, unsigned(p.Confirmed), unsigned(p.Dropped))
	}
	asked := slices.ContainsFunc(c.Engines, func(e admin.EngineCache) bool { return e.Hits()+e.Misses+e.NotCacheable > 0 })
	if !c.On && !asked {
		return b.String()
	}
	t := newTable("ENGINE", "HIT RATE", "MEMORY", "SHARED", "JOINED", "SCANNED", "NOT CACHED")
	for _, e := range c.Engines {
		t.add(e.Engine, human.Percent(e.Hits(), e.Hits()+e.Misses), unsigned(e.Memory), unsigned(e.Shared), unsigned(e.Joined), unsigned(e.Misses), unsigned(e.NotCacheable))
	}
	b.WriteString("\n")
	t.write(&b, "")
	for _, e := range c.Engines {
		var reasons []string
		for _, r := range e.Reasons() {
			if r.Count > 0 {
				reasons = append(reasons, unsigned(r.Count)+" "+r.Text)
			}
		}
		if len(reasons) > 0 {
			line("%s, not cached: %s", e.Engine, strings.Join(reasons, "; "))
		}
	}
	return b.String()
}

func unsigned(n uint64) string { return strconv.FormatUint(n, 10) }

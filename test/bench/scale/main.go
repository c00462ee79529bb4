// Scale predicts what a large site needs, by a model whose costs test/bench has measured.
//
//	go run ./test/bench/scale --messages 10e6 --hits 0,0.15,0.28
//
// docs/scale.md explains the model. With --write it writes the tables of that page.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"polyclam/test/bench/model"
	"polyclam/test/bench/report"
)

func main() {
	err := run(os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

// hitRates are the columns of the tables by default.
var hitRates = []string{"0", "0.15", "0.28"}

func run(args []string, out io.Writer) error {
	s := model.Default()
	var hits []string
	var costs, write string
	flags := pflag.NewFlagSet("scale", pflag.ContinueOnError)
	flags.Float64Var(&s.Messages, "messages", s.Messages, "`number` of messages a day")
	flags.Float64Var(&s.PeakShare, "peak-share", s.PeakShare, "`share` of a day's messages in its busiest hour")
	flags.Float64Var(&s.Sizes.Median, "median", s.Sizes.Median, "median size of a message in `bytes`")
	flags.Float64Var(&s.Sizes.Sigma, "sigma", s.Sizes.Sigma, "standard `deviation` of the logarithm of sizes")
	flags.Float64Var(&s.Sizes.Max, "max", s.Sizes.Max, "largest message in `bytes`")
	flags.StringSliceVar(&hits, "hits", hitRates, "`shares` of messages that a cache knows, a column for each")
	flags.IntVar(&s.Engines, "engines", s.Engines, "`number` of engines")
	flags.Float64Var(&s.Factor, "factor", s.Factor, "`times` that your engine costs what the measured one did")
	flags.Float64Var(&s.Resident, "engine-memory", s.Resident, "`bytes` that an engine needs")
	flags.IntVar(&s.Cores, "cores", s.Cores, "`number` of cores of a host")
	flags.Float64Var(&s.Load, "load", s.Load, "`share` of the cores to use in the busiest hour")
	flags.IntVar(&s.Spare, "spare", s.Spare, "`number` of hosts that may be down then")
	flags.Float64Var(&s.Network, "network", s.Network, "`Gbit/s` of a host")
	flags.BoolVar(&s.Redis, "redis", s.Redis, "whether hosts share a Redis")
	flags.Float64Var(&s.Keep, "keep", s.Keep, "`hours` that Redis keeps a result")
	flags.StringVar(&costs, "costs", "", "`file` that test/bench --only costs has written, instead of the costs that come with the program")
	flags.StringVar(&write, "write", "", "`page` whose tables to write, docs/scale.md; other flags do not count then")
	if err := flags.Parse(args); err != nil {
		return err
	}
	c, err := model.Measured()
	if costs != "" {
		c, err = model.ReadCosts(costs)
	}
	if err != nil {
		return err
	}
	if write != "" {
		blocks, err := pageBlocks(c)
		if err == nil {
			_, err = report.WritePage(write, blocks)
		}
		return err
	}
	g, err := table(c, s, hits)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%g messages a day of %.0f KB on average; costs of %s\n\n%s", s.Messages, s.Sizes.Mean()/(1<<10), c.Machine, g.Text())
	return nil
}

// table has a column for each hit rate.
func table(c *model.Costs, s model.Site, hits []string) (*report.Grid, error) {
	var names []string
	var plans []*model.Plan
	for _, text := range hits {
		h, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil {
			return nil, fmt.Errorf("--hits %q: want numbers from 0 to 1, such as 0,0.15", text)
		}
		s.Hits = h
		p, err := c.Plan(s)
		if err != nil {
			return nil, err
		}
		names, plans = append(names, fmt.Sprintf("%.0f %% hits", 100*h)), append(plans, p)
	}
	if len(plans) == 0 {
		return nil, errors.New("--hits: want at least one")
	}
	return model.Table(names, plans), nil
}

// pageBlocks are the tables of docs/scale.md.
func pageBlocks(c *model.Costs) (map[string]string, error) {
	blocks := map[string]string{"costs": c.Table().Markdown()}
	for name, messages := range map[string]float64{"site10": 10e6, "site100": 100e6} {
		s := model.Default()
		s.Messages = messages
		g, err := table(c, s, hitRates)
		if err != nil {
			return nil, err
		}
		blocks[name] = g.Markdown()
	}
	return blocks, nil
}

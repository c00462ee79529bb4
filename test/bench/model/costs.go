// Package model predicts what a large site needs: processors, memory, network, and
// operations of a Redis, from the costs of single scans that test/bench measures.
package model

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"polyclam/test/bench/report"
)

// Costs are what test/bench --only costs has measured on one machine.
type Costs struct {
	Machine    string `json:"machine"`
	Programs   string `json:"programs"`
	Signatures int    `json:"signatures"` // of the engine's database

	Scans     []Cost `json:"scans"`                // of new objects
	Hits      []Cost `json:"hits,omitempty"`       // of the cache in memory; empty: not measured
	RedisHits []Cost `json:"redis_hits,omitempty"` // of a cache in Redis alone

	PolyclamdBytes int64   `json:"polyclamd_rss"`
	EngineBytes    int64   `json:"engine_rss"`
	LogBytes       float64 `json:"log_bytes"` // per scan

	RedisRead  float64 `json:"redis_read_us"` // processor time of an operation
	RedisWrite float64 `json:"redis_write_us"`
	RedisEntry float64 `json:"redis_entry_bytes"`
}

// A Cost is processor time per object, in microseconds.
type Cost struct {
	Size      int64   `json:"size"`
	Polyclamd float64 `json:"polyclamd_us"`
	Engine    float64 `json:"engine_us"`
}

//go:embed costs.json
var measured []byte

// Measured returns the costs that come with the program.
func Measured() (*Costs, error) { return parse(measured) }

// ReadCosts reads costs that the bench has written.
func ReadCosts(path string) (*Costs, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func parse(text []byte) (*Costs, error) {
	var c Costs
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, err
	}
	if len(c.Scans) < 2 {
		return nil, errors.New("want the costs of at least two sizes")
	}
	for _, list := range [][]Cost{c.Scans, c.Hits, c.RedisHits} {
		for i := 1; i < len(list); i++ {
			if list[i].Size <= list[i-1].Size {
				return nil, errors.New("want sizes in ascending order")
			}
		}
	}
	return &c, nil
}

// Write writes the costs to a file.
func (c *Costs) Write(path string) error {
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// at interpolates the cost of an object of size bytes: a line between two measured sizes,
// and the last line continued beyond them. Smaller objects cost what the smallest costs.
func at(list []Cost, size float64) (polyclamd, engine float64) {
	if size <= float64(list[0].Size) {
		return list[0].Polyclamd, list[0].Engine
	}
	i := 1
	for i < len(list)-1 && size > float64(list[i].Size) {
		i++
	}
	a, b := list[i-1], list[i]
	share := (size - float64(a.Size)) / float64(b.Size-a.Size)
	return a.Polyclamd + share*(b.Polyclamd-a.Polyclamd), a.Engine + share*(b.Engine-a.Engine)
}

// Of is the mean processor time of scans of objects of these sizes, in microseconds.
func (c *Costs) Of(sizes []int64) (polyclamd, engine float64) {
	for _, size := range sizes {
		p, e := at(c.Scans, float64(size))
		polyclamd, engine = polyclamd+p/float64(len(sizes)), engine+e/float64(len(sizes))
	}
	return polyclamd, engine
}

// Table lists the costs.
func (c *Costs) Table() *report.Grid {
	g := &report.Grid{Head: []string{"object", "clamd, CPU per scan", "polyclamd, CPU per scan", "polyclamd, CPU per hit in memory", "polyclamd, CPU per hit in Redis"}}
	find := func(list []Cost, size int64) string {
		for _, x := range list {
			if x.Size == size {
				return micros(x.Polyclamd)
			}
		}
		return "not measured"
	}
	for _, x := range c.Scans {
		g.Add(bytes(float64(x.Size)), micros(x.Engine), micros(x.Polyclamd), find(c.Hits, x.Size), find(c.RedisHits, x.Size))
	}
	return g
}

func micros(v float64) string {
	if v >= 1e4 {
		return fmt.Sprintf("%.1f ms", v/1e3)
	}
	return fmt.Sprintf("%.0f µs", v)
}

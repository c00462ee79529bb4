package sssp

import (
	"strings"
	"testing"
	"time"
)

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		name    string
		address string
		change  func(*Config)
		want    []string // in the error; none: valid
	}{
		{"defaults on unix", "unix:/var/run/savdi/sssp.sock", nil, nil},
		{"defaults on tcp", "tcp:127.0.0.1:4010", nil, nil},
		{"more options", "tcp:h:1", func(c *Config) {
			c.Options = []string{"output: brief", "savigrp: GrpSuper 1", "savists: ZipDecompression 1"}
		}, nil},
		{"no options", "tcp:h:1", func(c *Config) { c.Options = nil }, nil},
		{"no address", "", nil, []string{"address: sssp needs one"}},
		{"bad address", "sssp.sock", nil, []string{`address: "sssp.sock"`}},
		{"transport", "tcp:h:1", func(c *Config) { c.Transport = "fildes" }, []string{`transport: "fildes"`}},
		{"everything wrong", "", func(c *Config) { *c = Config{Options: []string{""}} },
			[]string{"address", "transport", "options", "idle_limit", "connect_timeout"}},
		{"negative", "tcp:h:1", func(c *Config) { c.IdleLimit, c.ConnectTimeout = -1, -time.Second }, []string{`idle_limit: must be positive`, `connect_timeout: must be positive`}},
		{"option without value", "tcp:h:1", func(c *Config) { c.Options = []string{"savigrp:"} }, []string{`"savigrp:"`}},
		{"option without name", "tcp:h:1", func(c *Config) { c.Options = []string{": x"} }, []string{`": x"`}},
		{"two lines", "tcp:h:1", func(c *Config) { c.Options = []string{"savigrp: a 1\r\n\r\nSCANDIRR /"} }, []string{`is not an option; write "name: value"`}},
		{"not ASCII", "tcp:h:1", func(c *Config) { c.Options = []string{"savigrp: ä"} }, []string{`is not an option; write "name: value"`}},
		{"trailing space", "tcp:h:1", func(c *Config) { c.Options = []string{"savigrp: a "} }, []string{`is not an option; write "name: value"`}},
		{"long", "tcp:h:1", func(c *Config) { c.Options = []string{"savigrp: " + strings.Repeat("a", 200)} }, []string{`is not an option; write "name: value"`}},
		{"xml", "tcp:h:1", func(c *Config) { c.Options = []string{"output: xml"} }, []string{"output: brief"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := NewConfig().(*Config)
			if c.change != nil {
				c.change(config)
			}
			b, err := config.Open(c.address)
			if (err == nil) != (c.want == nil) || (b != nil) != (err == nil) {
				t.Fatalf("got %v, %v", b, err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
		})
	}
}

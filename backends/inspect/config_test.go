package inspect

import (
	"strings"
	"testing"
	"time"
)

func TestConfigErrors(t *testing.T) {
	for _, c := range []struct {
		name    string
		address string
		change  func(*Config)
		want    string
	}{
		{"address", "unix:/run/x", func(*Config) {}, "address"},
		{"relative list", "", func(c *Config) { c.Hashes = []string{"local.hdb"} }, "local.hdb"},
		{"missing list", "", func(c *Config) { c.Hashes = []string{"/nonexistent/local.hdb"} }, "/nonexistent/local.hdb"},
		{"directory as list", "", func(c *Config) { c.Hashes = []string{"/"} }, "regular"},
		{"device as list", "", func(c *Config) { c.Hashes = []string{"/dev/zero"} }, "regular"},
		{"no bytes", "", func(c *Config) { c.MaxBytes = 0 }, "max_bytes"},
		{"negative bytes", "", func(c *Config) { c.MaxBytes = -1 }, "max_bytes"},
		{"many bytes", "", func(c *Config) { c.MaxBytes = 5 << 30 }, "max_bytes"},
		{"no depth", "", func(c *Config) { c.MaxDepth = 0 }, "max_depth"},
		{"deep", "", func(c *Config) { c.MaxDepth = 33 }, "max_depth"},
		{"no members", "", func(c *Config) { c.MaxMembers = 0 }, "max_members"},
		{"no time", "", func(c *Config) { c.MaxTime = 0 }, "max_time"},
		{"negative time", "", func(c *Config) { c.MaxTime = -time.Second }, "max_time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config, ok := NewConfig().(*Config)
			if !ok {
				t.Fatal("not a *Config")
			}
			c.change(config)
			b, err := config.Open(c.address)
			if err == nil || b != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, %v; want an error with %q", b, err, c.want)
			}
		})
	}
}

func TestConfigReportsAllErrors(t *testing.T) {
	c := &Config{}
	_, err := c.Open("tcp:h:1")
	for _, want := range []string{"address", "max_bytes", "max_depth", "max_members", "max_time"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not mention %s", err, want)
		}
	}
}

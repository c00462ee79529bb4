package kav

import (
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

func openAs(t *testing.T, address, protocol string) backends.Backend {
	t.Helper()
	return backendtest.Open(t, NewConfig, address, func(c *Config) { c.Protocol = protocol })
}

func TestConfig(t *testing.T) {
	backendtest.WantConfigErrors(t, NewConfig, "unix:/s", "aveserver", map[string]func(*Config){
		"protocol":        func(c *Config) { c.Protocol = "x" },
		"connect_timeout": func(c *Config) { c.ConnectTimeout = 0 },
	})
	if _, err := (&Config{Protocol: protocolKavdaemon, ConnectTimeout: 1}).Open(""); err == nil || !strings.Contains(err.Error(), "AvpCtl") {
		t.Errorf("got %v", err)
	}
}

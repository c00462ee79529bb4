package config

import (
	"testing"

	"github.com/rs/zerolog"

	"polyclam/protocol/dataport"
)

func TestStreamPorts(t *testing.T) {
	for value, want := range map[string]dataport.Range{
		"": {}, "1024-2048": {First: 1024, Last: 2048}, "1-65535": {First: 1, Last: 65535}, "3311-3311": {First: 3311, Last: 3311},
	} {
		f := mustParse(t, oneListener+"stream_command = true\nstream_ports = \""+value+"\"\n"+oneEngine)
		c, err := f.Build(nil, zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		c.Engines[0].Close()
		if l := c.Listeners[0]; !l.StreamCommand || l.StreamPorts != want {
			t.Errorf("%q: %v, %v, want %v", value, l.StreamCommand, l.StreamPorts, want)
		}
	}
}

// STREAM is off by default, for every kind of address.
func TestStreamCommandIsOff(t *testing.T) {
	for _, address := range []string{"unix:/run/polyclam/clamd.sock", "tcp:127.0.0.1:3310"} {
		if l := NewListener(address); l.StreamCommand || l.StreamPorts != (Ports{}) {
			t.Errorf("%s: %v, %v", address, l.StreamCommand, l.StreamPorts)
		}
	}
}

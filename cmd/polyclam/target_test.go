package main

import "testing"

func TestTargetOfListener(t *testing.T) {
	for listener, want := range map[string]string{
		"unix:/run/polyclam/clamd.sock": "unix:/run/polyclam/clamd.sock",
		"tcp:192.0.2.1:3310":            "tcp:192.0.2.1:3310",
		"tcp:0.0.0.0:3310":              "tcp:127.0.0.1:3310",
		"tcp:[::]:3310":                 "tcp:[::1]:3310",
		"tcp:localhost:3310":            "tcp:localhost:3310",
	} {
		if got, err := targetOf(listener); err != nil || got.String() != want {
			t.Errorf("%s: %s, %v, want %s", listener, got, err, want)
		}
	}
	if got, err := targetOf("tcp:*:3310"); err == nil {
		t.Errorf("tcp:*: %s", got)
	}
}

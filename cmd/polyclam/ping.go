package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/pflag"
)

var pingCommand = command{
	name:  "ping",
	short: "Ask whether the server is there, and how long it takes to say so",
	long: `Exit status: 0 if it answers, 2 if not. An answer says nothing about the engines:
"polyclam status" does.
`,
	prepare: func(t *tool, _ *pflag.FlagSet) func([]string) (int, error) {
		return func(args []string) (int, error) {
			if err := noArguments(args); err != nil {
				return 0, err
			}
			return t.ping()
		}
	},
}

func (t *tool) ping() (int, error) {
	var elapsed time.Duration
	s, err := t.reach("server", func(ctx context.Context, s *server) error {
		start := time.Now()
		err := s.client.Ping(ctx)
		elapsed = time.Since(start)
		return err
	})
	if err != nil {
		return 0, err
	}
	return exitOK, printLines(t.stdout, fmt.Sprintf("%s: PONG in %.3f ms", s, elapsed.Seconds()*1000))
}

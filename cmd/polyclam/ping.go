package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func (t *tool) pingCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "ping",
		Short: "Check that the server answers",
		Long: `Prints how long the answer took. The engines are not asked: see "polyclam status".

Exit status: 0 if the server answers, 2 if not.
`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              t.exiting(func([]string) (int, error) { return t.ping() }),
	}
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

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/spf13/cobra"

	"polyclam/backends"
)

// defaultAdmin is the usual address of [admin].
const defaultAdmin = "unix:/run/polyclam/admin.sock"

// adminClient talks to polyclamd's admin socket.
type adminClient struct{ path string }

// adminFlag adds the flag that names the admin socket.
func (t *tool) adminFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.admin, "admin", "", "`address` of polyclamd's admin socket, unix:/path (default: "+defaultAdmin+")")
	cmd.RegisterFlagCompletionFunc("admin", cobra.FixedCompletions([]string{"unix:/"}, cobra.ShellCompDirectiveNoSpace))
}

func (t *tool) newAdminClient() (*adminClient, error) {
	network, path, err := backends.ParseAddress(cmp.Or(t.admin, defaultAdmin))
	if err != nil || network != "unix" {
		return nil, fmt.Errorf("--admin %q: want unix:/path", t.admin)
	}
	return &adminClient{path}, nil
}

// get asks a question, and reads the answer into answer.
func (c *adminClient) get(ctx context.Context, path string, answer any) error {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", c.path)
		},
	}}
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://polyclamd"+path, nil)
	if err != nil {
		return err
	}
	r, err := client.Do(q)
	if err != nil {
		return fmt.Errorf("unix:%s: %w%s", c.path, plainError(err), reachHint(err))
	}
	defer r.Body.Close()
	body, err := io.ReadAll(io.LimitReader(r.Body, 16<<20))
	if err != nil {
		return err
	}
	if r.StatusCode == http.StatusOK {
		return json.Unmarshal(body, answer)
	}
	var refused struct {
		Error string `json:"error"`
	}
	json.Unmarshal(body, &refused)
	return errors.New(cmp.Or(refused.Error, r.Status))
}

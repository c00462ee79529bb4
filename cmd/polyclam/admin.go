package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"polyclam/backends"
	"polyclam/backends/access"
	"polyclam/cmd/internal/cli"
	"polyclam/cmd/internal/config"
)

const (
	// packagedAdmin is the admin socket that the documentation proposes.
	packagedAdmin = "unix:/run/polyclam/admin.sock"
	// adminTimeout is how long polyclamd may take for a command that waits for nothing.
	adminTimeout = 20 * time.Second
	// slowTimeout is the same for a reload or a health check. It is longer than polyclamd
	// itself lets them take.
	slowTimeout = 4 * time.Minute
	// maxAnswer bounds the bytes of an answer.
	maxAnswer = 16 << 20
)

// adminClient talks to polyclamd's admin socket.
type adminClient struct {
	paths []string // where the socket may be, the best first
	// unset is the configuration file, if that has no [admin].
	unset string
}

// adminFlag adds the flag that names the admin socket.
func (t *tool) adminFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.admin, "admin", "", "`address` of polyclamd's admin socket, unix:/path (default: [admin] of the configuration, or "+packagedAdmin+")")
	cmd.RegisterFlagCompletionFunc("admin", cobra.FixedCompletions([]string{"unix:/"}, cobra.ShellCompDirectiveNoSpace))
}

// newAdminClient finds out where the admin socket may be.
func (t *tool) newAdminClient() (*adminClient, error) {
	if t.admin != "" {
		path, err := adminPath(t.admin)
		if err != nil {
			return nil, cli.Usagef("--admin %q: %w", t.admin, err)
		}
		return &adminClient{paths: []string{path}}, nil
	}
	usual, _ := adminPath(packagedAdmin)
	c := &adminClient{}
	file, err := cli.Load(t.config)
	var refused config.Problems
	switch {
	case errors.As(err, &refused), t.config == "" && errors.Is(err, fs.ErrPermission):
		// The daemon may run with an older version of the file.
	case err != nil && t.config != "":
		return nil, err
	case err == nil && file.Admin.Address == "":
		c.unset = file.Name
	case err == nil:
		if path, err := adminPath(file.Admin.Address); err == nil {
			c.paths = append(c.paths, path)
		}
		if file.Name != config.DefaultName {
			return c, nil
		}
	}
	if !slices.Contains(c.paths, usual) {
		c.paths = append(c.paths, usual)
	}
	return c, nil
}

// adminPath returns the path of a Unix socket, given as "unix:/path" or "/path".
func adminPath(address string) (string, error) {
	if strings.HasPrefix(address, "/") {
		return filepath.Clean(address), nil
	}
	network, path, err := backends.ParseAddress(address)
	if err != nil || network != "unix" {
		return "", errors.New("the admin socket is a Unix socket; write unix:/path")
	}
	return path, nil
}

// refusedError is the answer of a polyclamd that does not do a command.
type refusedError struct {
	Text   string `json:"error"`
	Force  bool   `json:"force"` // it would do it with force
	status int
}

// Error implements error.
func (e *refusedError) Error() string { return e.Text }

// post sends a command, and reads the answer into answer.
func (c *adminClient) post(within time.Duration, path string, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return c.do(within, http.MethodPost, path, text, answer)
}

// get asks a question, and reads the answer into answer.
func (c *adminClient) get(ctx context.Context, path string, answer any) error {
	return c.doIn(ctx, http.MethodGet, path, nil, answer)
}

func (c *adminClient) do(within time.Duration, method, path string, body []byte, answer any) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), within, noAnswer{within})
	defer cancel()
	return c.doIn(ctx, method, path, body, answer)
}

func (c *adminClient) doIn(ctx context.Context, method, path string, body []byte, answer any) error {
	var failed error
	for _, socket := range c.paths {
		err := askSocket(ctx, socket, method, path, body, answer)
		if err == nil || !isGone(err) {
			return c.explain(socket, err)
		}
		failed = cmp.Or(failed, c.explain(socket, err))
	}
	return failed
}

// askSocket sends one request on a fresh connection.
func askSocket(ctx context.Context, socket, method, path string, body []byte, answer any) error {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	r, err := http.NewRequestWithContext(ctx, method, "http://polyclamd"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := client.Do(r)
	if err != nil {
		return late(ctx, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return late(ctx, err)
	}
	if resp.StatusCode == http.StatusOK {
		if err := json.Unmarshal(text, answer); err != nil {
			return errOther
		}
		return nil
	}
	refused := &refusedError{status: resp.StatusCode}
	if json.Unmarshal(text, refused) != nil || refused.Text == "" {
		refused.Text = cmp.Or(strings.TrimSpace(string(text[:min(len(text), 300)])), resp.Status)
	}
	return refused
}

// errOther means that something else than an admin socket has answered.
var errOther = errors.New("the answer is not that of polyclamd's admin socket; is this the socket of [admin] in its configuration?")

// late returns the cause of ctx if that is why err came.
func late(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// explain adds to an error what to do about it.
func (c *adminClient) explain(socket string, err error) error {
	var refused *refusedError
	at := "unix:" + socket
	switch {
	case err == nil, errors.As(err, &refused), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return fmt.Errorf("%s: permission denied; run polyclam as %s", at, ownerOf(socket))
	case isGone(err) && c.unset != "":
		return fmt.Errorf("polyclamd has no admin socket: %s has no [admin]; add\n  [admin]\n  address = %q\nto its configuration, and reload polyclamd (systemctl reload polyclamd)", c.unset, packagedAdmin)
	case errors.Is(err, syscall.ENOENT):
		return fmt.Errorf("%s: the socket does not exist; is polyclamd running, and was it reloaded since its configuration has [admin]?", at)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%s: no polyclamd listens there; is it running?", at)
	case errors.As(err, new(noAnswer)):
		return fmt.Errorf("%s: %w", at, err)
	case isGone(err):
		return fmt.Errorf("%s: %w", at, plainError(err))
	}
	return fmt.Errorf("%s: %w", at, errOther)
}

// ownerOf returns who may open a socket: "root or as the user polyclam".
func ownerOf(socket string) string {
	info, err := os.Stat(socket)
	if err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 {
			return "root or as the user " + access.UserName(int(st.Uid))
		}
		return "root"
	}
	return "root or as the user polyclam"
}

package sssp

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
)

// Version implements [backends.Versioner]. SSSP does not report when the virus data was
// made.
func (b *Backend) Version(ctx context.Context) (backends.Version, error) {
	var v backends.Version
	err := b.client.Do(ctx, func(conn *engineconn.Conn) (err error) {
		v, err = version(conn)
		return err
	})
	return v, err
}

// version asks for the versions of the engine and its virus data.
func version(conn *engineconn.Conn) (backends.Version, error) {
	if err := conn.Command(requestEngine + "\r\n"); err != nil {
		return backends.Version{}, fmt.Errorf("%s: %w", requestEngine, err)
	}
	if err := accepted(conn, requestEngine); err != nil {
		return backends.Version{}, failure(err)
	}
	known := map[string]string{}
	err := readSettings(conn, requestEngine, func(key, value string) {
		if (key == "engineversion" || key == "savversion") && printable(value) {
			known[key] = value
		}
	})
	if err != nil {
		return backends.Version{}, err
	}
	engine, database := known["engineversion"], known["savversion"]
	if engine == "" && database == "" {
		return backends.Version{}, errors.New(requestEngine + ": no version in the answer")
	}
	v := backends.Version{Engine: strings.TrimSpace("Sophos SAVI " + engine), Database: database}
	v.Text = v.Engine
	if database != "" {
		v.Text += "/" + database
	}
	return v, nil
}

func printable(s string) bool {
	for _, r := range s {
		if r < ' ' || r > '~' {
			return false
		}
	}
	return len(s) <= 100
}

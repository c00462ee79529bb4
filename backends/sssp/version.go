package sssp

import (
	"errors"
	"strings"

	"polyclam/backends"
)

// version asks for the versions of the engine and its virus data.
func (c *conn) version() (backends.Version, error) {
	known := map[string]string{}
	err := c.query(requestEngine, func(key, value string) error {
		if (key == "engineversion" || key == "savversion") && printable(value) {
			known[key] = value
		}
		return nil
	})
	if err != nil {
		return backends.Version{}, failure(err)
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

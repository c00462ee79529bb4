package cli

import (
	"errors"
	"io/fs"

	"polyclam/cmd/internal/config"
)

// DefaultConfig is the configuration file that is read without --config.
const DefaultConfig = "/etc/polyclam/config.toml"

// Load reads the configuration file at path. An empty path means [DefaultConfig], or the
// embedded default if that file does not exist.
func Load(path string) (*config.File, error) {
	if path != "" {
		return config.Load(path)
	}
	file, err := config.Load(DefaultConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return config.Default(), nil
	}
	return file, err
}

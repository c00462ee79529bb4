package cli

import (
	"cmp"
	"errors"
	"io/fs"
	"os"

	"polyclam/cmd/internal/config"
)

// DefaultConfig is the configuration file that is read if no other is named.
const DefaultConfig = "/etc/polyclam/config.toml"

// Load reads the configuration file at path, and applies the overrides in the environment.
// An empty path means POLYCLAM_CONFIG, or if that is empty [DefaultConfig], or if that file
// does not exist the embedded default.
func Load(path string) (*config.File, error) {
	file, err := load(cmp.Or(path, os.Getenv(config.EnvConfig)))
	if err != nil {
		return nil, err
	}
	return file, file.Override(os.Getenv)
}

func load(path string) (*config.File, error) {
	if path != "" {
		return config.Load(path)
	}
	file, err := config.Load(DefaultConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return config.Default(), nil
	}
	return file, err
}

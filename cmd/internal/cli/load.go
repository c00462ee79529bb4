package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"

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
		file, err := config.Load(path)
		return file, readable(path, err)
	}
	file, err := config.Load(DefaultConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return config.Default(), nil
	}
	return file, readable(DefaultConfig, err)
}

// readable words the error of a file that may not be read.
func readable(path string, err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	name := "uid " + strconv.Itoa(os.Geteuid())
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return fmt.Errorf("%s: the user %s may not read it; chmod 0644 %s, and its directory needs 0755", path, name, path)
}

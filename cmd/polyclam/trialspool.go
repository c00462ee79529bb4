package main

import (
	"fmt"
	"os"

	"polyclam/cmd/internal/config"
	"polyclam/proxy/spool"
)

// trialSpool is the spool for the samples.
type trialSpool struct {
	*spool.Spool
	temporary string // its directory, to be removed; empty: polyclamd's own or none
}

// openSpool opens the spool as polyclamd would. It does not create a missing directory:
// polyclamd must do that, as its own user. In place of a directory that cannot be used,
// engines that read files get a temporary one.
func openSpool(file *config.File, warn func(string)) (*trialSpool, error) {
	cfg := file.Spool()
	if cfg.Dir == "" {
		s, err := spool.New(cfg)
		return &trialSpool{s, ""}, err
	}
	why := fmt.Sprintf("the spool directory %s does not exist", cfg.Dir)
	if exists(cfg.Dir) {
		s, err := spool.New(cfg)
		if err == nil {
			return &trialSpool{s, ""}, nil
		}
		why = fmt.Sprintf("this user cannot use the spool directory: %v", err)
	}
	warn(why + "; the engines are tried with a temporary one")
	dir, err := os.MkdirTemp("", "polyclam-check-")
	if err != nil {
		return nil, err
	}
	t := &trialSpool{temporary: dir}
	if err := os.Chmod(dir, 0o711); err != nil { // engines look into its subdirectory
		t.close()
		return nil, err
	}
	cfg.Dir, cfg.Store = dir, spool.Memfd
	t.Spool, err = spool.New(cfg)
	if err != nil { // this user is not in path_group
		cfg.PathGroup = config.NoGroup
		t.Spool, err = spool.New(cfg)
	}
	if err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *trialSpool) close() {
	if t.Spool != nil {
		t.Close()
	}
	if t.temporary != "" {
		os.RemoveAll(t.temporary)
	}
}

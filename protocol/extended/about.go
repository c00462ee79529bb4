package extended

import (
	"strconv"
	"time"
)

// About is the part of a SERVER record that says how the daemon was set up.
type About struct {
	// The configuration in use: its file and when that file was last changed. Empty: the
	// embedded default.
	Config     string    `json:"config,omitempty"`
	ConfigTime time.Time `json:"config_time,omitzero"`
	// Since when reloads have been refused, and the first problem. Zero: the last one
	// succeeded, or there was none.
	ConfigRefused time.Time `json:"config_refused,omitzero"`
	ConfigProblem string    `json:"config_problem,omitempty"`

	// The level of the log, if it was changed at run time.
	LogLevel string `json:"log_level,omitempty"`

	// The daemon's user and its groups: names, and numbers. Commas separate groups. GIDs is
	// empty if the daemon does not report them; then UID means nothing.
	User   string `json:"user,omitempty"`
	UID    int64  `json:"uid,omitempty"`
	Groups string `json:"groups,omitempty"`
	GIDs   string `json:"gids,omitempty"`

	// The most memory that the configuration can need, and the limit of the daemon's
	// control group, in bytes. 0: not known, or no limit. MemoryLimitFrom names the limit.
	MemoryNeeded    int64  `json:"memory_needed,omitempty"`
	MemoryLimit     int64  `json:"memory_limit,omitempty"`
	MemoryLimitFrom string `json:"memory_limit_from,omitempty"`
}

func (a *About) fields() []field {
	return []field{
		text("config", &a.Config),
		stamp("config_time", &a.ConfigTime),
		stamp("config_refused", &a.ConfigRefused),
		text("config_problem", &a.ConfigProblem),
		text("log_level", &a.LogLevel),
		text("user", &a.User),
		optional("uid", a.writeUID, func(value string) { a.UID, _ = parseInt(value, 64) }),
		text("groups", &a.Groups),
		text("gids", &a.GIDs),
		count("memory_needed", 0, &a.MemoryNeeded),
		count("memory_limit", 0, &a.MemoryLimit),
		text("memory_limit_from", &a.MemoryLimitFrom),
	}
}

// writeUID also writes 0, which is root.
func (a *About) writeUID() string {
	if a.UID == 0 && a.GIDs == "" {
		return ""
	}
	return strconv.FormatInt(a.UID, 10)
}

package command

import (
	"errors"
	"maps"
	"slices"

	"polyclam/backends"
)

// Config holds the keys of an [[engine]] table with backend = "command". With a preset,
// missing keys are taken from it.
type Config struct {
	// Preset names a known program, see [Presets].
	Preset string `toml:"preset" json:"-"`
	// Program replaces the first element of the preset's argv, for a program that is
	// installed elsewhere.
	Program string `toml:"program" json:"-"`
	// ExtraArgs are inserted before the argument with the path.
	ExtraArgs []string `toml:"extra_args" json:"-"`
	// Argv is the program and its arguments. One of them contains {path}.
	Argv []string `toml:"argv" json:"argv"`

	// Exit maps exit statuses, and "*" for all others, to categories. With a question mark,
	// as in "?ok", the lines of output decide, and the category applies if they mean
	// nothing. A plain "ok" trusts the status whatever the output. Entries override those
	// of the preset.
	Exit map[string]string `toml:"exit" json:"exit"`
	// Mask maps the bits of statuses that are not in Exit to categories. All bits that are
	// set count.
	Mask []Bit `toml:"mask" json:"mask,omitempty"`

	// Regular expressions (RE2). Each is matched against one line at a time, except
	// OKRegex. The name of a finding is the group called "name", or the first group that
	// matches something.
	VirusRegex      string `toml:"virus_regex" json:"virus_regex,omitempty"`
	VirusFlagRegex  string `toml:"virus_flag_regex" json:"virus_flag_regex,omitempty"` // a virus without a name
	SuspiciousRegex string `toml:"suspicious_regex" json:"suspicious_regex,omitempty"`
	EncryptedRegex  string `toml:"encrypted_regex" json:"encrypted_regex,omitempty"`
	PartialRegex    string `toml:"partial_regex" json:"partial_regex,omitempty"`
	ErrorRegex      string `toml:"error_regex" json:"error_regex,omitempty"`
	// CannotExecuteRegex matches lines saying that the program cannot reach its engine.
	CannotExecuteRegex string `toml:"cannot_execute_regex" json:"cannot_execute_regex,omitempty"`
	// OKRegex matches what the program prints about a clean object: one or more whole
	// lines, such as the summary or the line for the file. If it is set, nothing is ok
	// without a match. In every expression, {path} is replaced by the path of the file
	// and {name} by its base name. All named groups must match the same text, as in
	// "Files: (?P<all>\d+), clean: (?P<clean>\d+)".
	OKRegex string `toml:"ok_regex" json:"ok_regex,omitempty"`
	// OKSilent also accepts an ok without any output, for programs with a documented
	// exit status and a quiet mode. Any output must still match OKRegex.
	OKSilent bool `toml:"ok_silent" json:"ok_silent,omitempty"`
	// IgnoreRegex matches whole meaningless lines, such as banners and progress. Any
	// other line that no key explains is a failure.
	IgnoreRegex string `toml:"ignore_regex" json:"ignore_regex,omitempty"`

	// NameRules give findings of VirusRegex another category by name; the first match
	// counts. If VirusRegex has a group called "kind", the rules apply to that instead.
	NameRules []NameRule `toml:"name_rules" json:"name_rules,omitempty"`
	// KnownNames does the same for names that polyclam knows, such as ClamAV's
	// "Heuristics.Encrypted.Zip". Set it only for programs whose names cannot be
	// forged: they must not print the names of archive members in the same lines.
	KnownNames bool `toml:"known_names" json:"known_names,omitempty"`

	// Env adds environment variables. By default LANG and LC_ALL are C, and PATH is the
	// usual one.
	Env map[string]string `toml:"env" json:"env,omitempty"`
	// VersionArgv is the command that prints the version; empty if there is none.
	VersionArgv []string `toml:"version_argv" json:"version_argv,omitempty"`
	// VersionRegex finds the version in the output, by default the first line. The groups
	// engine, database and time are its parts.
	VersionRegex string `toml:"version_regex" json:"version_regex,omitempty"`

	// Per is what {path} names: the "file", or a "directory" that contains only the file.
	Per string `toml:"per" json:"per,omitempty"`
	// Copy is the program's own file: "none", a "link" for programs that remove or
	// rename it, or a "copy" for those that change it.
	Copy string `toml:"copy" json:"copy,omitempty"`
	// MaxOutput limits the output. More is a failure.
	MaxOutput int64 `toml:"max_output" json:"-"`
}

// Bit is one bit of an exit status.
type Bit struct {
	Bit      int    `toml:"bit" json:"bit"`
	Category string `toml:"category" json:"category"`
}

// NameRule gives matching names a category.
type NameRule struct {
	Name     string `toml:"name" json:"name"`
	Category string `toml:"category" json:"category"`
}

const defaultMaxOutput = 1 << 20

// NewConfig returns the defaults.
func NewConfig() backends.Config { return &Config{MaxOutput: defaultMaxOutput} }

// ScanMemory is the most memory that a scan takes: for the output, which is copied as it
// grows, and for its lines.
func (c *Config) ScanMemory() int64 { return 4 * c.MaxOutput }

// Open implements [backends.Config]. The backend is a [backends.Versioner] if version_argv
// is set. Whether the program exists is not checked, as it may be installed later.
func (c *Config) Open(address string) (backends.Backend, error) {
	var errs []error
	if address != "" {
		errs = append(errs, backends.KeyErrorf("address", "a program has no address; delete the key"))
	}
	full := *c
	if c.Preset != "" {
		p, err := presetNamed(c.Preset)
		if err != nil {
			return nil, errors.Join(append(errs, err)...)
		}
		full = c.overlay(p.Config)
	}
	full.applyDefaults()
	t, err := full.compile()
	if err := errors.Join(append(errs, full.check(), err)...); err != nil {
		return nil, err
	}
	name := nameOf(c.Preset, full.Argv)
	t.program = "command " + name + ": " + t.program
	b := &Backend{
		name: name, argv: full.arguments(),
		per: full.Per, copy: full.Copy, limit: int(full.MaxOutput), table: t,
	}
	b.env, b.path = full.environment()
	if len(full.VersionArgv) == 0 {
		return b, nil
	}
	return &versioned{Backend: b, version: full.VersionArgv, re: t.version}, nil
}

// applyDefaults sets what depends on other keys.
func (c *Config) applyDefaults() {
	if c.Per == "" {
		c.Per = perFile
	}
	if c.Copy == "" {
		c.Copy = copyNone
		if c.Per == perDirectory {
			c.Copy = copyLink
		}
	}
	if c.Program != "" && len(c.Argv) > 0 {
		old := c.Argv[0]
		c.Argv = slices.Clone(c.Argv)
		c.Argv[0] = c.Program
		if len(c.VersionArgv) > 0 && c.VersionArgv[0] == old {
			c.VersionArgv = slices.Clone(c.VersionArgv)
			c.VersionArgv[0] = c.Program
		}
	}
}

// arguments returns argv including the extra arguments.
func (c *Config) arguments() []string {
	at := slices.IndexFunc(c.Argv, hasPath)
	return slices.Insert(slices.Clone(c.Argv), at, c.ExtraArgs...)
}

// environment returns the environment of the program, and the PATH in it.
func (c *Config) environment() (env []string, path string) {
	variables := map[string]string{"LANG": "C", "LC_ALL": "C", "PATH": defaultPath}
	maps.Copy(variables, c.Env)
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		env = append(env, name+"="+variables[name])
	}
	return env, variables["PATH"]
}

// overlay returns a preset's configuration with the keys that c sets.
func (c *Config) overlay(p Config) Config {
	p.Preset, p.Program, p.ExtraArgs, p.MaxOutput = c.Preset, c.Program, c.ExtraArgs, c.MaxOutput
	lists := []struct{ to, from *[]string }{{&p.Argv, &c.Argv}, {&p.VersionArgv, &c.VersionArgv}}
	for _, l := range lists {
		if len(*l.from) > 0 {
			*l.to = *l.from
		}
	}
	if len(c.Mask) > 0 {
		p.Mask = c.Mask
	}
	if len(c.NameRules) > 0 {
		p.NameRules = c.NameRules
	}
	p.KnownNames, p.OKSilent = p.KnownNames || c.KnownNames, p.OKSilent || c.OKSilent
	p.Exit, p.Env = merged(c.Exit, p.Exit), merged(c.Env, p.Env)
	for _, s := range []struct{ to, from *string }{
		{&p.VirusRegex, &c.VirusRegex}, {&p.VirusFlagRegex, &c.VirusFlagRegex},
		{&p.SuspiciousRegex, &c.SuspiciousRegex}, {&p.EncryptedRegex, &c.EncryptedRegex},
		{&p.PartialRegex, &c.PartialRegex}, {&p.ErrorRegex, &c.ErrorRegex},
		{&p.CannotExecuteRegex, &c.CannotExecuteRegex}, {&p.OKRegex, &c.OKRegex}, {&p.IgnoreRegex, &c.IgnoreRegex},
		{&p.VersionRegex, &c.VersionRegex}, {&p.Per, &c.Per}, {&p.Copy, &c.Copy},
	} {
		if *s.from != "" {
			*s.to = *s.from
		}
	}
	return p
}

func merged(upper, lower map[string]string) map[string]string {
	both := map[string]string{}
	maps.Copy(both, lower)
	maps.Copy(both, upper)
	return both
}

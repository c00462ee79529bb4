package command

import (
	"errors"
	"maps"
	"slices"

	"polyclam/backends"
)

// Config holds the keys of an [[engine]] table with backend = "command". With a
// preset, what is left out is as the preset has it.
type Config struct {
	// Preset names a known program, see [Presets].
	Preset string `toml:"preset" json:"-"`
	// Program replaces the first word of the preset's argv: where it is installed.
	Program string `toml:"program" json:"-"`
	// ExtraArgs come before the argument with the path.
	ExtraArgs []string `toml:"extra_args" json:"-"`
	// Argv is the program and its arguments; one of them contains {path}.
	Argv []string `toml:"argv" json:"argv"`

	// Exit says for each exit status, or "*" for all others, what it means: a
	// category, or one with a question mark before it, "?ok", for what the lines
	// say, and that category if they say nothing. Plain "ok" believes the status
	// whatever is printed. Entries are laid over the preset's.
	Exit map[string]string `toml:"exit" json:"exit"`
	// Mask says it for statuses that are not in Exit by their bits. All that are set
	// count.
	Mask []Bit `toml:"mask" json:"mask,omitempty"`

	// Regular expressions (RE2), each for one line at a time but OKRegex. The first
	// group that matches something is the name, or the one called "name".
	VirusRegex      string `toml:"virus_regex" json:"virus_regex,omitempty"`
	VirusFlagRegex  string `toml:"virus_flag_regex" json:"virus_flag_regex,omitempty"` // a virus without a name
	SuspiciousRegex string `toml:"suspicious_regex" json:"suspicious_regex,omitempty"`
	EncryptedRegex  string `toml:"encrypted_regex" json:"encrypted_regex,omitempty"`
	PartialRegex    string `toml:"partial_regex" json:"partial_regex,omitempty"`
	ErrorRegex      string `toml:"error_regex" json:"error_regex,omitempty"`
	// CannotExecuteRegex is for an engine that the program cannot reach.
	CannotExecuteRegex string `toml:"cannot_execute_regex" json:"cannot_execute_regex,omitempty"`
	// OKRegex is for what a program prints about an object that is clean: one or
	// several whole lines, its summary or the line for the file. If it is given,
	// nothing is ok without it. {path} in it is the path of the file and {name} its
	// name, in every other expression too.
	// All its named groups have to match the same text, as in
	// "Files: (?P<all>\d+), clean: (?P<clean>\d+)".
	OKRegex string `toml:"ok_regex" json:"ok_regex,omitempty"`
	// OKSilent accepts an ok without any output, too: for programs with a documented
	// exit status and an option for quiet mode. Output that is not empty must still
	// match OKRegex.
	OKSilent bool `toml:"ok_silent" json:"ok_silent,omitempty"`
	// IgnoreRegex is for whole lines that say nothing: banners and progress. Any
	// other line that no key explains is a failure.
	IgnoreRegex string `toml:"ignore_regex" json:"ignore_regex,omitempty"`

	// NameRules give names of VirusRegex another category; the first that matches
	// counts. If VirusRegex has a group called "kind", they look at that instead.
	NameRules []NameRule `toml:"name_rules" json:"name_rules,omitempty"`
	// KnownNames does so for the names that polyclam knows, such as ClamAV's
	// "Heuristics.Encrypted.Zip". It is for programs whose names nobody can forge:
	// that do not print the names of files within archives in the same lines.
	KnownNames bool `toml:"known_names" json:"known_names,omitempty"`

	// Env are further variables; LANG and LC_ALL are C, PATH is the usual one.
	Env map[string]string `toml:"env" json:"env,omitempty"`
	// VersionArgv prints the version, empty: none.
	VersionArgv []string `toml:"version_argv" json:"version_argv,omitempty"`
	// VersionRegex finds it in what is printed, by default the first line. Groups
	// called engine, database and time are told apart.
	VersionRegex string `toml:"version_regex" json:"version_regex,omitempty"`

	// Per is what {path} names: "file", or a "directory" with nothing but the file.
	Per string `toml:"per" json:"per,omitempty"`
	// Copy is whether the program gets a file of its own: "none", a "link" for
	// programs that remove or rename, a "copy" for those that change it.
	Copy string `toml:"copy" json:"copy,omitempty"`
	// MaxOutput is how much of the output is looked at. More is a failure.
	MaxOutput int64 `toml:"max_output" json:"-"`
}

// Bit is one bit of an exit status.
type Bit struct {
	Bit      int    `toml:"bit" json:"bit"`
	Category string `toml:"category" json:"category"`
}

// NameRule gives names that match a category.
type NameRule struct {
	Name     string `toml:"name" json:"name"`
	Category string `toml:"category" json:"category"`
}

const defaultMaxOutput = 1 << 20

// NewConfig returns the defaults.
func NewConfig() backends.Config { return &Config{MaxOutput: defaultMaxOutput} }

// ScanMemory is how much memory a scan takes at most: what the program prints, which
// is copied as it grows, and lines of it.
func (c *Config) ScanMemory() int64 { return 4 * c.MaxOutput }

// Open implements [backends.Config]. The backend is a [backends.Versioner] if
// there is a version_argv. That the program exists is not asked: it may be
// installed later.
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
		full = c.over(p.Config)
	}
	full.settle()
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

// settle fills in what depends on other keys.
func (c *Config) settle() {
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

// arguments are argv with the extra arguments in it.
func (c *Config) arguments() []string {
	at := slices.IndexFunc(c.Argv, hasPath)
	return slices.Insert(slices.Clone(c.Argv), at, c.ExtraArgs...)
}

// environment is what the programs get, and the PATH in it.
func (c *Config) environment() (env []string, path string) {
	variables := map[string]string{"LANG": "C", "LC_ALL": "C", "PATH": defaultPath}
	maps.Copy(variables, c.Env)
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		env = append(env, name+"="+variables[name])
	}
	return env, variables["PATH"]
}

// over lays c over the keys of a preset.
func (c *Config) over(p Config) Config {
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
	p.Exit, p.Env = laid(c.Exit, p.Exit), laid(c.Env, p.Env)
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

func laid(upper, lower map[string]string) map[string]string {
	both := map[string]string{}
	maps.Copy(both, lower)
	maps.Copy(both, upper)
	return both
}

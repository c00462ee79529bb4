package command

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"polyclam/backends"
)

// WritePresets writes a table of all presets, one per line.
func WritePresets(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "PRESET\tPROGRAM\tREPORTS\tOK RESTS ON\tCONFIDENCE\tSTATUS")
	for _, p := range Presets() {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\n", p.Name, p.Argv[0], abilityList(p.Abilities()), p.OKRestsOn, p.Confidence, p.Status)
	}
	return tw.Flush()
}

// WritePreset writes the configuration of the preset of that name. The error is a
// [backends.KeyError] if there is none.
func WritePreset(w io.Writer, name string) error {
	p, err := presetNamed(name)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, p.TOML())
	return err
}

// abilityList lists what an engine can report.
func abilityList(a backends.Abilities) string {
	var words []string
	for _, w := range []struct {
		can  bool
		word string
	}{
		{a.Virus, "virus"}, {a.Suspicious, "suspicious"}, {a.Encrypted, "encrypted"}, {a.Partial, "partial"},
		{a.Names, "names"}, {a.Version, "version"},
	} {
		if w.can {
			words = append(words, w.word)
		}
	}
	return strings.Join(words, ",")
}

// TOML returns an [[engine]] table to paste into the configuration. The preset's keys are
// commented out; a site can override each by removing the "#".
func (p *Preset) TOML() string {
	var b strings.Builder
	for _, l := range []struct{ label, text string }{
		{"Status", p.Status}, {"Confidence", p.Confidence}, {"Source", p.Source}, {"Tested", p.Tested},
		{"An ok rests on", p.OKRestsOn}, {"It leaves the file alone", p.FileSafe}, {"Note", p.Note},
	} {
		if l.text != "" {
			fmt.Fprintf(&b, "# %s: %s\n", l.label, l.text)
		}
	}
	if p.OKRestsOn == okBelieved {
		b.WriteString("# What it prints about a clean file is not published. Set ignore_regex for lines without\n" +
			"# meaning; a line that it prints about every clean file belongs in ok_regex.\n")
	}
	b.WriteString("# The program must be able to read [spool] directory, by default /var/lib/polyclam/spool.\n")
	fmt.Fprintf(&b, "[[engine]]\nname = %q\nbackend = \"command\"\npreset = %[1]q\n", p.Name)
	fmt.Fprintf(&b, "#program = %s\n", quote(p.Argv[0]))
	b.WriteString("# The preset, key by key:\n")
	for _, k := range p.keys() {
		fmt.Fprintf(&b, "#%s = %s\n", k.name, k.value)
	}
	return b.String()
}

type shownKey struct{ name, value string }

// keys returns the keys that the preset sets, in TOML.
func (p *Preset) keys() []shownKey {
	keys := []shownKey{{"argv", quoteList(p.Argv)}}
	if len(p.Exit) > 0 {
		keys = append(keys, shownKey{"exit", quoteMap(p.Exit, slices.SortedFunc(maps.Keys(p.Exit), byNumber))})
	}
	if len(p.Mask) > 0 {
		keys = append(keys, shownKey{"mask", quoteTables(p.Mask, func(b Bit) string {
			return fmt.Sprintf("bit = %d, category = %s", b.Bit, quote(b.Category))
		})})
	}
	for _, k := range []shownKey{
		{"virus_regex", p.VirusRegex}, {"virus_flag_regex", p.VirusFlagRegex}, {"suspicious_regex", p.SuspiciousRegex},
		{"encrypted_regex", p.EncryptedRegex}, {"partial_regex", p.PartialRegex}, {"error_regex", p.ErrorRegex},
		{"cannot_execute_regex", p.CannotExecuteRegex}, {"ok_regex", p.OKRegex}, {"ignore_regex", p.IgnoreRegex},
		{"version_regex", p.VersionRegex}, {"per", p.Per}, {"copy", p.Copy},
	} {
		if k.value != "" {
			keys = append(keys, shownKey{k.name, quote(k.value)})
		}
	}
	if p.OKSilent {
		keys = append(keys, shownKey{"ok_silent", "true"})
	}
	if len(p.NameRules) > 0 {
		keys = append(keys, shownKey{"name_rules", quoteTables(p.NameRules, func(r NameRule) string {
			return fmt.Sprintf("name = %s, category = %s", quote(r.Name), quote(r.Category))
		})})
	}
	if p.KnownNames {
		keys = append(keys, shownKey{"known_names", "true"})
	}
	if len(p.Env) > 0 {
		keys = append(keys, shownKey{"env", quoteMap(p.Env, slices.Sorted(maps.Keys(p.Env)))})
	}
	if len(p.VersionArgv) > 0 {
		keys = append(keys, shownKey{"version_argv", quoteList(p.VersionArgv)})
	}
	return keys
}

// byNumber orders exit statuses, "*" first.
func byNumber(a, b string) int {
	m, _ := strconv.Atoi(a)
	n, _ := strconv.Atoi(b)
	if m != n {
		return m - n
	}
	return strings.Compare(a, b)
}

func quoteList(list []string) string {
	var quoted []string
	for _, s := range list {
		quoted = append(quoted, quote(s))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// quoteTables writes a list of inline tables; text returns one without its braces.
func quoteTables[T any](list []T, text func(T) string) string {
	var tables []string
	for _, v := range list {
		tables = append(tables, "{ "+text(v)+" }")
	}
	return "[" + strings.Join(tables, ", ") + "]"
}

func quoteMap(m map[string]string, order []string) string {
	var pairs []string
	for _, k := range order {
		pairs = append(pairs, quote(k)+" = "+quote(m[k]))
	}
	return "{ " + strings.Join(pairs, ", ") + " }"
}

// quote writes a TOML string, a literal one if possible, as regular expressions are easier
// to read without doubled backslashes.
func quote(s string) string {
	plain := !strings.ContainsFunc(s, unicode.IsControl)
	switch {
	case plain && !strings.ContainsAny(s, `"\`):
		return `"` + s + `"`
	case plain && !strings.Contains(s, "'"):
		return "'" + s + "'"
	case plain && !strings.Contains(s, "''") && !strings.HasSuffix(s, "'"):
		return "'''" + s + "'''"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case unicode.IsControl(r):
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

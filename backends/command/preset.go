package command

import (
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"polyclam/backends"
)

//go:embed presets/*.json
var presetFiles embed.FS

// Preset describes a known program. Its keys are those of the configuration.
type Preset struct {
	Name   string `json:"name"`
	Status string `json:"status"` // of the product: alive, end of life, ...
	// Source is where the argv, the exit table and the expressions come from.
	Source string `json:"source"`
	// Confidence is how far to trust them: RAN (tried by this project), DOC (the
	// vendor's documentation), PEER (other projects that run the program), BELIEVED.
	Confidence string `json:"confidence"`
	Note       string `json:"note,omitempty"`
	// OKRestsOn is the evidence for this program's ok, one of the constants below.
	OKRestsOn string `json:"ok_rests_on"`
	// FileSafe is why the program cannot harm the file that other engines share: an
	// argument prevents it, or the program gets a private copy.
	FileSafe string `json:"file_safe"`
	// Tested is how the preset itself was tested: "real engine" or "composed bytes".
	Tested string `json:"tested"`
	Config
	Samples []Sample `json:"samples"`
}

// The evidence for an ok.
const (
	okSummary    = "summary line"
	okEither     = "summary line, or silence (documented)"
	okLine       = "line for the file"
	okDocumented = "exit status and silence (documented)"
	okBelieved   = "exit status and silence (believed)" // its output is not published
)

// privateCopy is the FileSafe of a program that gets a private copy.
const privateCopy = "it scans a private copy"

// Sample is an output and the expected result.
type Sample struct {
	Output   string            `json:"output"`
	Exit     int               `json:"exit"`
	Category backends.Category `json:"category"`
	Name     string            `json:"name,omitempty"`    // of the first finding
	Path     string            `json:"path,omitempty"`    // of the file; "/q/a" if empty
	Failure  backends.Category `json:"failure,omitempty"` // in addition to Category
}

// Presets returns all presets in alphabetical order. The caller may modify them.
func Presets() []Preset {
	var presets []Preset
	for _, name := range presetNames() {
		if p, err := presetNamed(name); err == nil { // always: the files are embedded and tested
			presets = append(presets, p)
		}
	}
	return presets
}

// presetNamed reads a preset. If there is none of that name, the error is a
// [backends.KeyError].
func presetNamed(name string) (Preset, error) {
	if err := backends.OneOf("preset", name, presetNames()...); err != nil {
		return Preset{}, err
	}
	var p Preset
	data, err := presetFiles.ReadFile("presets/" + name + ".json")
	if err == nil {
		err = json.Unmarshal(data, &p)
	}
	if err != nil {
		return Preset{}, fmt.Errorf("preset %s: %w", name, err)
	}
	return p, nil
}

func presetNames() []string {
	entries, _ := presetFiles.ReadDir("presets") // never fails: the files are embedded
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".json"))
	}
	slices.Sort(names) // the files are sorted by names with ".json"
	return names
}

// Abilities returns what the program can report, according to its preset.
func (p *Preset) Abilities() backends.Abilities {
	a := backends.Abilities{
		Virus:       p.VirusRegex != "" || p.VirusFlagRegex != "" || p.canReport(backends.Virus),
		Suspicious:  p.SuspiciousRegex != "" || p.KnownNames || p.canReport(backends.Suspicious),
		Encrypted:   p.EncryptedRegex != "" || p.KnownNames || p.canReport(backends.Encrypted),
		Partial:     p.PartialRegex != "" || p.KnownNames || p.canReport(backends.Partial),
		Names:       p.VirusRegex != "",
		Version:     len(p.VersionArgv) > 0,
		DatabaseAge: strings.Contains(p.VersionRegex, "<time>"),
		Source:      p.Confidence + ": " + p.Source,
		Tested:      p.Tested,
	}
	return a
}

// canReport reports whether an exit status, a bit or a name rule means c.
func (p *Preset) canReport(c backends.Category) bool {
	for _, text := range p.Exit {
		if strings.TrimPrefix(text, "?") == string(c) {
			return true
		}
	}
	return slices.ContainsFunc(p.Mask, func(b Bit) bool { return strings.TrimPrefix(b.Category, "?") == string(c) }) ||
		slices.ContainsFunc(p.NameRules, func(r NameRule) bool { return r.Category == string(c) })
}

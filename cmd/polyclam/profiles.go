package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"polyclam/proxy/policy"
	"polyclam/proxy/status"
)

var profilesCommand = command{
	name:  "profiles",
	args:  "[CLIENT ...]",
	short: "List what the clients of a listener need to be told, or print some as a configuration to paste",
	prepare: func(t *tool, _ *pflag.FlagSet) func([]string) (int, error) {
		return func(clients []string) (int, error) {
			var b strings.Builder
			if len(clients) == 0 {
				listProfiles(&b)
			}
			for i, client := range clients {
				p, ok := status.Lookup(client)
				if !ok {
					return 0, badUsage("unknown client %q; want one of %s", client, strings.Join(status.Names(), ", "))
				}
				if i > 0 {
					b.WriteString("\n")
				}
				writeProfile(&b, p)
			}
			_, err := t.stdout.Write([]byte(b.String()))
			return exitOK, err
		}
	},
}

func listProfiles(b *strings.Builder) {
	rows := newTable("CLIENT", "ERROR STYLE", "ENCRYPTED PREFIX", "LINE", "PATH LINE", "ANSWER WITHIN", "ACTIONS")
	for _, name := range status.Names() {
		p, _ := status.Lookup(name)
		rows.add(name, string(p.ErrorStyle), p.EncryptedPrefix, fmt.Sprint(p.MaxLine), fmt.Sprint(p.MaxPathLine),
			p.AnswerWithin.String(), strings.Join(actionWords(p, "%s = %s"), ", "))
	}
	rows.write(b, "")
	b.WriteString("\n\"polyclam profiles CLIENT\" says why, and prints the lines of a [[listener]].\n")
}

// writeProfile writes a preset with every key of it written out, as a listener
// without the preset would have to have them.
func writeProfile(b *strings.Builder, p status.Profile) {
	for _, line := range wrap(status.About(p.Client)+" When it hears FOUND: "+status.OnFound(p.Client)+".", 78) {
		fmt.Fprintf(b, "# %s\n", line)
	}
	fmt.Fprintf(b, "[[listener]]\naddress = \"unix:/run/polyclam/%s.sock\"\nclient = %q\n# What this client stands for; each key can be given another value.\n", p.Client, p.Client)
	fmt.Fprintf(b, "#error_style = %q\n#encrypted_prefix = %q\n#max_line = %d\n#max_path_line = %d\n#answer_within = %q\n",
		p.ErrorStyle, p.EncryptedPrefix, p.MaxLine, p.MaxPathLine, p.AnswerWithin.String())
	if len(p.Actions) > 0 {
		b.WriteString("#[listener.actions]\n")
		for _, line := range actionWords(p, "#%s = %q") {
			b.WriteString(line + "\n")
		}
	}
}

// actionWords words the actions of a profile of its own, by category.
func actionWords(p status.Profile, format string) []string {
	var words []string
	for _, c := range slices.Sorted(maps.Keys(p.Actions)) {
		words = append(words, fmt.Sprintf(format, string(c), policy.Action(p.Actions[c])))
	}
	return words
}

// wrap breaks a text between words into lines of at most width bytes.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(lines, line)
}

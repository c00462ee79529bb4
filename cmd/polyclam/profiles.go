package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"polyclam/cmd/internal/cli"
	"polyclam/proxy/policy"
	"polyclam/proxy/status"
)

func (t *tool) profilesCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "profiles [CLIENT ...]",
		Short:             "List the client profiles, or print [[listener]] tables for them",
		Long:              "A profile adapts the replies of a listener to its clients (key client). Without\nCLIENT, lists all profiles. With CLIENT, explains them and prints tables to paste into\nthe configuration.\n",
		Example:           "  polyclam profiles\n  polyclam profiles mimedefang",
		ValidArgsFunction: cli.CompleteOnce(status.Names),
		RunE: t.exiting(func(clients []string) (int, error) {
			text, err := profilesText(clients)
			if err != nil {
				return 0, err
			}
			_, err = io.WriteString(t.stdout, text)
			return exitOK, err
		}),
	}
}

func profilesText(clients []string) (string, error) {
	var b strings.Builder
	if len(clients) == 0 {
		listProfiles(&b)
	}
	for i, client := range clients {
		p, ok := status.Lookup(client)
		if !ok {
			return "", cli.Unknown("client", client, status.Names())
		}
		if i > 0 {
			b.WriteString("\n")
		}
		writeProfile(&b, p)
	}
	return b.String(), nil
}

func listProfiles(b *strings.Builder) {
	rows := newTable("CLIENT", "ERROR STYLE", "ENCRYPTED PREFIX", "LINE", "PATH LINE", "ANSWER WITHIN", "ACTIONS")
	for _, name := range status.Names() {
		p, _ := status.Lookup(name)
		rows.add(name, string(p.ErrorStyle), p.EncryptedPrefix, fmt.Sprint(p.MaxLine), fmt.Sprint(p.MaxPathLine),
			p.AnswerWithin.String(), strings.Join(formatActions(p, "%s = %s"), ", "))
	}
	rows.write(b, "")
	b.WriteString("\n\"polyclam profiles CLIENT\" explains a profile, and prints a [[listener]] with it.\n")
}

// writeProfile writes a listener with the profile. Comments spell out its keys, for a
// listener without the profile.
func writeProfile(b *strings.Builder, p status.Profile) {
	for _, line := range wrap(status.About(p.Client)+" On FOUND: "+status.OnFound(p.Client)+".", 78) {
		fmt.Fprintf(b, "# %s\n", line)
	}
	fmt.Fprintf(b, "[[listener]]\naddress = \"unix:/run/polyclam/%s.sock\"\nclient = %q\n# This is what the client sets. Each key can be overridden.\n", p.Client, p.Client)
	fmt.Fprintf(b, "#error_style = %q\n#encrypted_prefix = %q\n#max_line = %d\n#max_path_line = %d\n#answer_within = %q\n",
		p.ErrorStyle, p.EncryptedPrefix, p.MaxLine, p.MaxPathLine, p.AnswerWithin.String())
	if len(p.Actions) > 0 {
		b.WriteString("#[listener.actions]\n")
		for _, line := range formatActions(p, "#%s = %q") {
			b.WriteString(line + "\n")
		}
	}
}

// formatActions formats the category and action of each action that p sets.
func formatActions(p status.Profile, format string) []string {
	var lines []string
	for _, c := range slices.Sorted(maps.Keys(p.Actions)) {
		lines = append(lines, fmt.Sprintf(format, string(c), policy.Action(p.Actions[c])))
	}
	return lines
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

// Package manpage generates the manual pages: the commands' pages from their help and
// package comments, and polyclam.toml(5) from config.toml.example.
package manpage

import (
	"go/doc/comment"
	"go/parser"
	"go/token"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"polyclam/cmd/internal/cli"
)

// Command returns the page of a command line. mainFile is the Go file with the package
// comment: its text before the first heading is the description, its headings are
// sections.
func Command(root *cobra.Command, section, mainFile string) (string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), mainFile, nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		return "", err
	}
	cli.Prepare(root, io.Discard)
	description, sections := splitHeading(file.Doc.Text())
	p := newPage(strings.ToUpper(root.Name()), section)
	p.heading("NAME")
	p.line(escape(root.Name()) + ` \- ` + escape(root.Short))
	p.heading("SYNOPSIS")
	p.synopsis(root)
	p.heading("DESCRIPTION")
	p.doc(description)
	if root.HasAvailableSubCommands() {
		p.heading("COMMANDS")
		for _, c := range root.Commands() {
			if c.IsAvailableCommand() {
				p.command(c)
			}
		}
	}
	p.heading("OPTIONS")
	p.flags(root.LocalFlags())
	if root.Example != "" {
		p.heading("EXAMPLES")
		p.literal(unindent(root.Example))
	}
	p.doc(sections)
	return p.b.String(), nil
}

func (p *page) command(cmd *cobra.Command) {
	p.subheading(cmd.Name())
	p.synopsis(cmd)
	p.text(cmd.Short + ".")
	p.doc(cmd.Long)
	p.flags(cmd.LocalFlags())
	if cmd.Example != "" {
		p.text("Examples:")
		p.literal(unindent(cmd.Example))
	}
}

func (p *page) synopsis(cmd *cobra.Command) {
	p.line(`\fB` + escape(cmd.CommandPath()) + `\fR` + escape(strings.TrimPrefix(cli.UsageLine(cmd), cmd.CommandPath())))
}

func (p *page) flags(flags *pflag.FlagSet) {
	for _, f := range cli.Flags(flags) {
		p.item(strings.TrimSpace(f.Form))
		p.fill(f.Usage)
	}
}

// splitHeading splits a doc comment before its first heading.
func splitHeading(text string) (before, rest string) {
	for _, block := range new(comment.Parser).Parse(text).Content {
		if h, ok := block.(*comment.Heading); ok {
			before, rest, _ = strings.Cut(text, "# "+plain(h.Text))
			return before, "# " + plain(h.Text) + rest
		}
	}
	return text, ""
}

func unindent(s string) string { return strings.ReplaceAll("\n"+s, "\n  ", "\n") }

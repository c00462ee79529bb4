package registry

import (
	"fmt"
	"strings"

	"polyclam/backends"
	"polyclam/backends/command"
)

// System is a product that a site can put behind polyclam.
type System struct {
	Name      string // of the product
	Backend   string // how it is configured
	Abilities backends.Abilities
}

// protocols are the systems that are asked over a protocol of their own.
var protocols = []System{
	{Name: "ClamAV clamd", Backend: "clamd"},
	{Name: "built in: EICAR, hash lists, what is encrypted in ZIP, RAR, 7z, EGG, ALZ, ARJ, ACE, PDF, Office, OpenDocument, iWork, EPUB, Access, OpenPGP, S/MIME, disk images and password databases, also within tar, gzip, bzip2, xz, Zstandard, LZ4, compress, cab, ISO, cpio, ar and LHA archives, mails and documents", Backend: "inspect"},
	{Name: "another polyclam, with all its engines", Backend: "polyclam"},
	{Name: "Sophos SAVDI (SSSP)", Backend: "sssp"},
	{Name: "Sophie, Trophie, savdid's SOPHIE channel", Backend: "sophie"},
	{Name: "ICAP: c-icap, squidclamav, ESET, Kaspersky, Symantec, Trend, Trellix, Sophos, F-Secure, OPSWAT and others", Backend: "icap"},
	{Name: "F-PROT 6 fpscand, F-PROT 4 f-protd", Backend: "fprot"},
	{Name: "Avast Business for Linux", Backend: "avast"},
	{Name: "F-Secure fsavd", Backend: "fsecure"},
	{Name: "Dr.Web drwebd", Backend: "drwebd"},
	{Name: "Kaspersky Scan Engine (HTTP)", Backend: "kse"},
	{Name: "Kaspersky kavdaemon, aveserver", Backend: "kav"},
	{Name: "Avira SAVAPI", Backend: "savapi"},
	{Name: "HTTP scanners: clamav-rest, clamav-rest-api and others", Backend: "httpscan"},
	{Name: "any command line", Backend: "command"},
}

// Systems returns every product with a mapping: those with a protocol of their own,
// then the presets of the command backend.
func Systems() []System {
	var all []System
	for _, s := range protocols {
		s.Abilities = Abilities[s.Backend]
		all = append(all, s)
	}
	for _, p := range command.Presets() {
		all = append(all, System{Name: p.Name + " (" + p.Status + ")", Backend: "command, preset " + p.Name, Abilities: p.Abilities()})
	}
	return all
}

// Table returns the table of engines for docs/engines.md, in Markdown.
func Table() string {
	var b strings.Builder
	b.WriteString("| product | backend | reports | source of the mapping | tested with |\n|---|---|---|---|---|\n")
	for _, s := range Systems() {
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s | %s |\n", cell(s.Name), s.Backend, reports(s.Abilities), cell(s.Abilities.Source), cell(s.Abilities.Tested))
	}
	return b.String()
}

// reports lists what a product reports.
func reports(a backends.Abilities) string {
	var words []string
	for _, able := range []struct {
		can  bool
		word string
	}{
		{a.Virus, "virus"}, {a.Suspicious, "suspicious"}, {a.Encrypted, "encrypted"}, {a.Partial, "partial"},
		{a.Names, "names"}, {a.Version, "version"}, {a.DatabaseAge, "database age"},
	} {
		if able.can {
			words = append(words, able.word)
		}
	}
	return strings.Join(words, ", ")
}

// cell keeps text within its cell.
func cell(text string) string { return strings.NewReplacer("|", "/", "\n", " ").Replace(text) }

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
	b.WriteString("| product | backend | findings | details | source of the mapping | tested with |\n|---|---|---|---|---|---|\n")
	for _, s := range Systems() {
		a := s.Abilities
		backend, _, _ := strings.Cut(s.Backend, ",")
		findings := list([]bool{a.Virus, a.Suspicious, a.Encrypted, a.Partial}, "virus", "suspicious", "encrypted", "partial")
		details := list([]bool{a.Names, a.Version, a.DatabaseAge}, "names", "version", "database age")
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s | %s | %s |\n", cell(s.Name), backend, findings, details, cell(a.Source), cell(a.Tested))
	}
	return b.String()
}

// list joins the words whose ability is there.
func list(able []bool, words ...string) string {
	var list []string
	for i, word := range words {
		if able[i] {
			list = append(list, word)
		}
	}
	return strings.Join(list, ", ")
}

// cell keeps text within its cell.
func cell(text string) string { return strings.NewReplacer("|", "/", "\n", " ").Replace(text) }

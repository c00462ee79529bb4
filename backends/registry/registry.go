// Package registry lists the backends. Everything that depends on the set of backends
// derives from its rows: the values of the key backend, what `polyclam check` expects of
// an engine, and the manual's table of engines.
package registry

import (
	"slices"

	"polyclam/backends"
	"polyclam/backends/avast"
	"polyclam/backends/clamd"
	"polyclam/backends/command"
	"polyclam/backends/drwebd"
	"polyclam/backends/fprot"
	"polyclam/backends/fsecure"
	"polyclam/backends/httpscan"
	"polyclam/backends/icap"
	"polyclam/backends/inspect"
	"polyclam/backends/kav"
	"polyclam/backends/kse"
	"polyclam/backends/polyclam"
	"polyclam/backends/savapi"
	"polyclam/backends/sophie"
	"polyclam/backends/sssp"
)

// A Row describes one backend. To add a backend, create a folder for it below
// backends/, add its row to rows, and document its keys in config.toml.example.
type Row struct {
	// Key is the value of the backend key in an [[engine]] table, and the name of the
	// folder below backends/.
	Key string
	// NewConfig returns a new configuration, a pointer to a struct filled with defaults.
	NewConfig func() backends.Config
	// Products names the products that the backend can ask, for the manual.
	Products string
	// Abilities says what the products report.
	Abilities backends.Abilities
}

const inspectProducts = "built in: EICAR, hash lists, what is encrypted in ZIP, RAR, 7z, EGG, ALZ, ARJ, ACE, PDF, Office, OpenDocument, iWork, EPUB, Access, " +
	"OpenPGP, S/MIME, disk images and password databases, also within tar, gzip, bzip2, xz, Zstandard, LZ4, compress, cab, ISO, cpio, ar and LHA archives, mails and documents"

// rows are in the order of the manual's table.
var rows = []Row{
	{"clamd", clamd.NewConfig, "ClamAV clamd", clamd.Abilities},
	{"inspect", inspect.NewConfig, inspectProducts, inspect.Abilities},
	{"polyclam", polyclam.NewConfig, "another polyclam, with all its engines", polyclam.Abilities},
	{"sssp", sssp.NewConfig, "Sophos SAVDI (SSSP)", sssp.Abilities},
	{"sophie", sophie.NewConfig, "Sophie, Trophie, savdid's SOPHIE channel", sophie.Abilities},
	{"icap", icap.NewConfig, "ICAP: c-icap, squidclamav, ESET, Kaspersky, Symantec, Trend, Trellix, Sophos, F-Secure, OPSWAT and others", icap.Abilities},
	{"fprot", fprot.NewConfig, "F-PROT 6 fpscand, F-PROT 4 f-protd", fprot.Abilities},
	{"avast", avast.NewConfig, "Avast Business for Linux", avast.Abilities},
	{"fsecure", fsecure.NewConfig, "F-Secure fsavd", fsecure.Abilities},
	{"drwebd", drwebd.NewConfig, "Dr.Web drwebd", drwebd.Abilities},
	{"kse", kse.NewConfig, "Kaspersky Scan Engine (HTTP)", kse.Abilities},
	{"kav", kav.NewConfig, "Kaspersky kavdaemon, aveserver", kav.Abilities},
	{"savapi", savapi.NewConfig, "Avira SAVAPI", savapi.Abilities},
	{"httpscan", httpscan.NewConfig, "HTTP scanners: clamav-rest, clamav-rest-api and others", httpscan.Abilities},
	{"command", command.NewConfig, "any command line", command.Abilities},
}

// Rows returns the rows of all backends.
func Rows() []Row { return slices.Clone(rows) }

// Lookup returns the row with the key.
func Lookup(key string) (Row, bool) {
	i := slices.IndexFunc(rows, func(r Row) bool { return r.Key == key })
	if i < 0 {
		return Row{}, false
	}
	return rows[i], true
}

// Keys returns the keys of all rows in alphabetical order.
func Keys() []string {
	var keys []string
	for _, r := range rows {
		keys = append(keys, r.Key)
	}
	slices.Sort(keys)
	return keys
}

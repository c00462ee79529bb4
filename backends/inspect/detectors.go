package inspect

import (
	"polyclam/backends/inspect/ace"
	"polyclam/backends/inspect/alzip"
	"polyclam/backends/inspect/ar"
	"polyclam/backends/inspect/arj"
	"polyclam/backends/inspect/bzip2"
	"polyclam/backends/inspect/cab"
	"polyclam/backends/inspect/cpio"
	"polyclam/backends/inspect/gzip"
	"polyclam/backends/inspect/internal/archive"
	"polyclam/backends/inspect/internal/walk"
	"polyclam/backends/inspect/iso"
	"polyclam/backends/inspect/lha"
	"polyclam/backends/inspect/lz4"
	"polyclam/backends/inspect/lzw"
	"polyclam/backends/inspect/magic"
	"polyclam/backends/inspect/mail"
	"polyclam/backends/inspect/office"
	"polyclam/backends/inspect/pdf"
	"polyclam/backends/inspect/pgp"
	"polyclam/backends/inspect/rar"
	"polyclam/backends/inspect/seven"
	"polyclam/backends/inspect/smime"
	"polyclam/backends/inspect/tar"
	"polyclam/backends/inspect/tnef"
	"polyclam/backends/inspect/xz"
	"polyclam/backends/inspect/zip"
	"polyclam/backends/inspect/zstd"
)

// detectors are tried in this order. A ZIP archive may follow anything, so detectors that
// recognise the beginning of a file come first: they describe better where something was
// found.
var detectors = []walk.Detector{
	rar.Detector{},
	rar.Old{},
	seven.Detector{},
	pdf.Detector{},
	office.Detector{},
	office.RTF{},
	office.Access{},
	mail.Detector{},
	mail.Text{},
	pgp.Detector{},
	smime.Detector{},
	archive.Packed{Container: "gzip", Confidence: archive.Certain, Matches: gzip.Matches, Open: gzip.NewReader},
	archive.Packed{Container: "bzip2", Confidence: archive.Certain, Matches: bzip2.Matches, Open: bzip2.NewReader},
	archive.Packed{Container: "xz", Confidence: archive.Certain, Matches: xz.Matches, Open: xz.NewReader},
	archive.Packed{Container: "zstd", Confidence: archive.Certain, Matches: zstd.Matches, Open: zstd.NewReader},
	archive.Packed{Container: "lz4", Confidence: archive.Certain, Matches: lz4.Matches, Open: lz4.NewReader},
	archive.Packed{Container: "compress", Confidence: archive.Guess, Matches: lzw.Matches, Open: lzw.NewReader},
	archive.List{Container: "tar", Matches: tar.Matches, Members: tar.Members},
	archive.List{Container: "ar", Matches: ar.Matches, Members: ar.Members},
	archive.List{Container: "cpio", Matches: cpio.Matches, Members: cpio.Members},
	iso.Detector{},
	cab.Detector{},
	archive.List{Container: "lha", Matches: lha.Matches, Members: lha.Members},
	tnef.Detector{},
	alzip.EGG{},
	alzip.ALZ{},
	arj.Detector{},
	ace.Detector{},
	zip.Detector{},
	xz.LZMA{}, // last but one, as it has no signature
	magic.Detector{},
}

package main

import (
	_ "embed" // for the encrypted archive
	"slices"
)

// sample is a content whose verdict is known.
type sample struct {
	name string
	data []byte
}

//go:embed encrypted.zip
var encryptedArchive []byte

// The samples, in the order of check's columns.
const (
	sampleClean = iota
	sampleEICAR
	sampleEncrypted
	sampleCount
)

// samples returns what engines are tried with. The EICAR test file is not written
// out here, lest scanners take polyclam itself for it.
func samples() [sampleCount]sample {
	eicar := []byte("*H+H$!ELIF-TSET-SURIVITNA-DRADNATS-RACIE$}7)CC7)^P(45XZP\\4[PA@%P!O5X")
	slices.Reverse(eicar)
	return [sampleCount]sample{
		{"a clean text", []byte("Nothing to see here, move along.\n")},
		{"the EICAR test file", eicar},
		{"an encrypted archive", slices.Clone(encryptedArchive)},
	}
}

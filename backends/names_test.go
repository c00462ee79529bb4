package backends_test

import (
	"testing"

	"polyclam/backends"
)

func TestNameCategory(t *testing.T) {
	for _, c := range []struct {
		name string
		want backends.Category
	}{
		{"Eicar-Test-Signature", backends.Virus},
		{"EICAR-AV-Test", backends.Virus},
		{"Eicar password protected", backends.Virus},
		{"Win.Test.EICAR_HDB-1", backends.Virus},

		{"Heuristics.Encrypted.Zip", backends.Encrypted},
		{"Heuristics.Encrypted.PDF", backends.Encrypted},
		{"Heuristics.Encrypted.", backends.Virus},
		{"Heuristics.Encrypted", backends.Virus},
		{"Heuristics.EncryptedZip", backends.Virus},
		{"heuristics.encrypted.zip", backends.Virus},
		{"Win.Heuristics.Encrypted.Zip", backends.Virus},
		{"Encrypted.Zip", backends.Encrypted},
		{"Encrypted.RAR", backends.Encrypted},
		{"Encrypted.7Zip", backends.Encrypted},
		{"Encrypted.PDF", backends.Encrypted},
		{"Encrypted.Doc", backends.Virus},
		{"Encrypted.Zip.Trojan", backends.Virus},
		{"Trojan.Encrypted.Zip", backends.Virus},

		{"Heuristics.Limits.Exceeded", backends.Partial},
		{"Heuristics.Limits.Exceeded.MaxFiles", backends.Partial},
		{"Heuristics.Limits.ExceededX", backends.Virus},
		{"Heuristics.Limits", backends.Virus},

		{"Heuristics.Broken.Executable", backends.Suspicious},
		{"Heuristics.OLE2.ContainsMacros", backends.Suspicious},
		{"Heuristics.OLE2.ContainsMacros.VBA", backends.Suspicious},
		{"Heuristics.Phishing.Email.SpoofedDomain", backends.Suspicious},
		{"Heuristics.Structured.SSN", backends.Suspicious},
		{"Heuristics.PDF.ObfuscatedNameObject", backends.Suspicious},
		{"Heuristics.Zip.OverlappingFiles", backends.Suspicious},
		{"Heuristics.OLE2", backends.Virus},
		{"Heuristics.W32.Parite.B", backends.Virus},
		{"XHeuristics.Broken", backends.Virus},

		{"Encrypted container violation", backends.Encrypted},
		{"encrypted archive", backends.Encrypted},
		{"Encrypted Container", backends.Encrypted},
		{"An encrypted container", backends.Virus},
		{"Encrypted container virus", backends.Virus},
		{"Password protected", backends.Encrypted},
		{"PASSWORD-PROTECTED", backends.Encrypted},
		{"Document is passwordprotected", backends.Virus},
		{"NON_SCANNED (PASSWORD PROTECTED)", backends.Virus}, // an answer, not a name
		{"File (password protected)", backends.Virus},
		{"Password unprotected", backends.Virus},
		{"Trojan.Password-Protected.A", backends.Virus},
		{"HEUR:Trojan password protected", backends.Virus},
		{"W32/Worm password-protected", backends.Virus},
		{"Worm password-protected!zip", backends.Virus},

		{"Container size violation", backends.Partial},
		{"container depth violation", backends.Partial},
		{"Container violation", backends.Virus},
		{"Container size violation of a trojan", backends.Virus},
		{"Malformed container", backends.Partial},
		{"The malformed container violation", backends.Virus},
		{"Malformed container violation", backends.Partial},
		{"Container size violation - scan incomplete.", backends.Partial},
		{"Container FileEncryptor violation", backends.Virus},
		{"Exceeded Archive Depth", backends.Partial},
		{"Exceeded archive depth of a worm", backends.Virus},
		{"Password Protected Document", backends.Encrypted},
		{"Ransom.FileEncryptor", backends.Virus},
		{"Trojan PasswordStealer blocked", backends.Virus},
		{"Heuristics.Encrypted.Zip.UNOFFICIAL", backends.Virus},
		{"Heuristics.Limits.Exceeded.MaxFiles.Worm", backends.Virus},
		{"Heuristics.PhishingWorm", backends.Virus},
		{"Exploit.Malformed container", backends.Virus},

		{"HEUR:Trojan.Win32.Generic", backends.Virus},
		{"not-a-virus:AdWare.Win32.X", backends.Virus},
		{"PUA.Win.Packer.Upx-1", backends.Virus},
		{"Adware suspicious", backends.Virus},
		{"", backends.Virus},
		{"OK", backends.Virus},
		{"\x00\xff\n", backends.Virus},
	} {
		if got := backends.NameCategory(c.name); got != c.want {
			t.Errorf("NameCategory(%q) = %v, want %v", c.name, got, c.want)
		}
	}
}

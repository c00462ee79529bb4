package office

import (
	"bufio"
	"encoding/binary"
	"io"
)

// checkPackage returns how a newer document's package is encrypted ([MS-OFFCRYPTO] 2.3.4).
func (f *file) checkPackage(e entry) string {
	info, err := f.find("EncryptionInfo")
	if err != nil {
		return "rights management"
	}
	b := f.begin(info, 4)
	if len(b) < 4 {
		return "encrypted package"
	}
	if kind := encryptionKind(binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:])); kind != "" {
		return "encrypted package, " + kind
	}
	return "encrypted package"
}

// checkRights is for Office 2003 documents with rights management.
func (f *file) checkRights(e entry) string { return "rights management" }

// checkWord examines the FIB of a Word document ([MS-DOC] 2.5.2).
func (f *file) checkWord(e entry) string {
	const word97, word6, encrypted, obfuscated = 0xa5ec, 0xa5dc, 0x0100, 0x8000
	b := f.begin(e, 12)
	if len(b) < 12 {
		return ""
	}
	magic, flags := binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[10:])
	switch {
	case magic != word97 && magic != word6 || flags&encrypted == 0:
		return ""
	case flags&obfuscated != 0 || magic == word6:
		return "XOR obfuscation"
	}
	return "RC4"
}

// checkPowerPoint examines a CurrentUserAtom ([MS-PPT] 2.3.2).
func (f *file) checkPowerPoint(e entry) string {
	const encrypted = 0xf3d1c4df
	b := f.begin(e, 16)
	if len(b) < 16 || binary.LittleEndian.Uint16(b[2:]) != 0x0ff6 || binary.LittleEndian.Uint32(b[12:]) != encrypted {
		return ""
	}
	return "RC4"
}

// checkExcel looks for a FilePass among the first records ([MS-XLS] 2.4.117).
func (f *file) checkExcel(e entry) string {
	const bof, eof, filePass, sheet, most = 0x0009, 0x000a, 0x002f, 0x0085, 1024
	r := bufio.NewReaderSize(f.open(e), 1024)
	for i := range most {
		var h [4]byte
		if _, err := io.ReadFull(r, h[:]); err != nil {
			return ""
		}
		kind, size := binary.LittleEndian.Uint16(h[:]), int(binary.LittleEndian.Uint16(h[2:]))
		switch {
		// The high byte is the version.
		case i == 0 && kind&0xff != bof, kind == eof, kind == sheet:
			return ""
		case kind == filePass:
			b, _ := r.Peek(min(size, 512))
			return excelEncryption(b)
		}
		if _, err := r.Discard(size); err != nil {
			return ""
		}
	}
	return ""
}

// excelEncryption names the encryption that FilePass describes. A workbook that is only
// protected against changes is encrypted with a built-in password that Excel tries by
// itself. It still counts as encrypted: most engines do not know that password and see
// nothing.
func excelEncryption(b []byte) string {
	how, opens := "RC4 CryptoAPI", false
	switch {
	case len(b) < 6 || b[0] == 0:
		return "XOR obfuscation"
	case binary.LittleEndian.Uint16(b[2:]) == 1:
		how, opens = "RC4", opensRC4(b[6:])
	default:
		opens = opensCryptoAPI(b[6:])
	}
	if opens {
		how += "; Excel opens it without asking for a password"
	}
	return how
}

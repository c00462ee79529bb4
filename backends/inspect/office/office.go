package office

import (
	"bufio"
	"encoding/binary"
	"io"
)

// checkPackage says how the package of a newer document is encrypted
// ([MS-OFFCRYPTO] 2.3.4).
func (f *oleFile) checkPackage(e oleEntry) string {
	info, err := f.find("EncryptionInfo")
	if err != nil {
		return "rights management"
	}
	b := f.begin(info, 4)
	if len(b) < 4 {
		return "encrypted package"
	}
	major, minor := binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:])
	switch {
	case major == 4 && minor == 4:
		return "encrypted package, agile"
	case minor == 2:
		return "encrypted package, standard"
	case minor == 3:
		return "encrypted package, extensible"
	}
	return "encrypted package"
}

// checkRights is for documents of Office 2003 with rights management.
func (f *oleFile) checkRights(e oleEntry) string { return "rights management" }

// checkWord reads the beginning of a FIB ([MS-DOC] 2.5.2).
func (f *oleFile) checkWord(e oleEntry) string {
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

// checkPowerPoint reads a CurrentUserAtom ([MS-PPT] 2.3.2).
func (f *oleFile) checkPowerPoint(e oleEntry) string {
	const encrypted = 0xf3d1c4df
	b := f.begin(e, 16)
	if len(b) < 16 || binary.LittleEndian.Uint16(b[2:]) != 0x0ff6 || binary.LittleEndian.Uint32(b[12:]) != encrypted {
		return ""
	}
	return "RC4"
}

// checkExcel looks for FilePass among the first records ([MS-XLS] 2.4.117).
func (f *oleFile) checkExcel(e oleEntry) string {
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
			b, _ := r.Peek(min(size, 6))
			return excelEncryption(b)
		}
		if _, err := r.Discard(size); err != nil {
			return ""
		}
	}
	return ""
}

// excelEncryption says how, by the type and version in FilePass.
func excelEncryption(b []byte) string {
	if len(b) < 6 || b[0] == 0 {
		return "XOR obfuscation"
	}
	if binary.LittleEndian.Uint16(b[2:]) == 1 {
		return "RC4"
	}
	return "RC4 CryptoAPI"
}

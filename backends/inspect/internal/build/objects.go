package build

import (
	"encoding/binary"
	"encoding/hex"
)

// Package returns a file as Windows' object packager embeds it, without the leading size.
func Package(name string, data []byte) []byte {
	b := append([]byte{2, 0}, name+"\x00C:\\"+name+"\x00"...)
	b = append(b, 0, 0, 3, 0)
	path := "C:\\" + name + "\x00"
	b = append(binary.LittleEndian.AppendUint32(b, uint32(len(path))), path...)
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(data))), data...)
}

// Native returns a \x01Ole10Native stream with data.
func Native(data []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(data))), data...)
}

// Presentation returns a presentation's stream with an embedded object packed by zlib.
func Presentation(packed []byte) []byte {
	record := func(version, kind uint16, data []byte) []byte {
		b := binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(nil, version), kind)
		return append(binary.LittleEndian.AppendUint32(b, uint32(len(data))), data...)
	}
	atom := record(0, 0x03e9, make([]byte, 40))
	object := record(0x10, 0x1011, append([]byte{0, 0, 1, 0}, packed...))
	return append(record(0x0f, 0x03e8, append(atom, object...)), make([]byte, 5000)...)
}

// RTF returns a document with an embedded object of this class.
func RTF(class string, data []byte) []byte {
	le32 := binary.LittleEndian.AppendUint32
	b := le32(le32(nil, 0x0501), 2)
	b = append(le32(b, uint32(len(class)+1)), class+"\x00"...)
	b = le32(le32(b, 0), 0)
	b = append(le32(b, uint32(len(data))), data...)
	text := hex.EncodeToString(b)
	half := len(text) / 3
	return []byte("{\\rtf1\\ansi text {\\object\\objemb{\\*\\objclass " + class + "}{\\*\\objdata " +
		text[:half] + "\r\n{\\*\\junk 00}" + text[half:half+7] + "\\par12 " + text[half+7:] + "}}}")
}

// TNEFMessage returns a winmail.dat whose attachment is a message, given as inner.
func TNEFMessage(inner []byte) []byte {
	le32 := binary.LittleEndian.AppendUint32
	attribute := func(level byte, id uint32, data []byte) []byte {
		b := append(le32(le32([]byte{level}, id), uint32(len(data))), data...)
		return append(b, 0, 0)
	}
	object := append(make([]byte, 16), inner...)
	props := le32(nil, 4)
	props = append(le32(props, 0x0e070003), 1, 0, 0, 0)                                  // a number
	props = append(le32(le32(le32(props, 0x3001001e), 1), 5), "name\x00\x00\x00\x00"...) // a string
	props = append(le32(props, 0x80010003), make([]byte, 16)...)                         // with a name
	props = le32(le32(le32(props, 0), 7), 9)
	props = append(le32(le32(le32(props, 0x3701000d), 1), uint32(len(object))), object...)
	b := append([]byte("\x78\x9f\x3e\x22\x01\x00"), attribute(1, 0x00089006, []byte{0, 0, 1, 0})...)
	b = append(b, attribute(2, 0x00018010, []byte("message\x00"))...)
	return append(b, attribute(2, 0x00069005, props)...)
}

// OldRAR returns a RAR 1.4 archive.
func OldRAR(name string, data []byte, encrypted bool, method byte) []byte {
	le16, le32 := binary.LittleEndian.AppendUint16, binary.LittleEndian.AppendUint32
	b := append([]byte("RE\x7e\x5e"), 7, 0, 0)
	b = le32(le32(b, uint32(len(data))), uint32(len(data)))
	b = le16(le16(b, 0), uint16(21+len(name)))
	flags := byte(0)
	if encrypted {
		flags = 4
	}
	b = append(b, 0, 0, 0, 0, 0x20, flags, 2, byte(len(name)), method)
	return append(append(b, name...), data...)
}

package build

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Ar returns an ar archive.
func Ar(files ...File) []byte {
	b := []byte("!<arch>\n")
	for _, f := range files {
		b = append(b, fmt.Sprintf("%-16s%-12d%-6d%-6d%-8s%-10d`\n", f.Name+"/", 0, 0, 0, "100644", len(f.Data))...)
		b = append(b, f.Data...)
		b = append(b, "\n"[:len(b)&1]...)
	}
	return b
}

// Cpio returns a cpio archive in the new ASCII format.
func Cpio(files ...File) []byte {
	var b []byte
	pad := func() { b = append(b, make([]byte, -len(b)&3)...) }
	for _, f := range append(files[:len(files):len(files)], File{Name: "TRAILER!!!"}) {
		b = append(b, fmt.Sprintf("070701%08x%08x%s%08x%s%08x%08x%s\x00", 1, 0o100644, strings.Repeat("00000000", 4),
			len(f.Data), strings.Repeat("00000000", 4), len(f.Name)+1, 0, f.Name)...)
		pad()
		b = append(b, f.Data...)
		pad()
	}
	return b
}

// TarV7 returns a tar archive without a magic number.
func TarV7(files ...File) []byte {
	var b []byte
	for _, f := range files {
		h := make([]byte, 512)
		copy(h, f.Name)
		copy(h[100:], fmt.Sprintf("%07o\x00%07o\x00%07o\x00%011o\x00%011o\x00        ", 0o644, 0, 0, len(f.Data), 0))
		sum := 0
		for _, c := range h {
			sum += int(c)
		}
		copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
		b = append(append(b, h...), f.Data...)
		b = append(b, make([]byte, -len(b)&511)...)
	}
	return append(b, make([]byte, 1024)...)
}

// ISO returns a disc image with all files in its root directory.
func ISO(files ...File) []byte {
	const sector, root = 2048, 18
	b := make([]byte, (root+1)*sector)
	record := func(name string, at, size int, flags byte) []byte {
		r := make([]byte, (33+len(name)+1)&^1)
		r[0], r[25], r[32] = byte(len(r)), flags, byte(len(name))
		binary.LittleEndian.PutUint32(r[2:], uint32(at/sector))
		binary.LittleEndian.PutUint32(r[10:], uint32(size))
		copy(r[33:], name)
		return r
	}
	primary := b[16*sector:]
	copy(primary, "\x01CD001\x01")
	binary.LittleEndian.PutUint16(primary[128:], sector)
	copy(primary[156:], record("\x00", root*sector, sector, 2))
	copy(b[17*sector:], "\xffCD001\x01")
	var directory []byte
	for _, f := range files {
		directory = append(directory, record(f.Name+".;1", len(b), len(f.Data), 0)...)
		b = append(b, f.Data...)
		b = append(b, make([]byte, -len(b)&(sector-1))...)
	}
	copy(b[root*sector:(root+1)*sector], directory)
	return b
}

// LHA returns an LHA archive of stored files.
func LHA(files ...File) []byte {
	var b []byte
	for _, f := range files {
		h := []byte("-lh0-")
		h = binary.LittleEndian.AppendUint32(h, uint32(len(f.Data)))
		h = binary.LittleEndian.AppendUint32(h, uint32(len(f.Data)))
		h = append(h, 0, 0, 0, 0, 0x20, 0, byte(len(f.Name)))
		h = append(append(h, f.Name...), 0, 0)
		sum := byte(0)
		for _, c := range h {
			sum += c
		}
		b = append(append(append(b, byte(len(h)), sum), h...), f.Data...)
	}
	return append(b, 0)
}

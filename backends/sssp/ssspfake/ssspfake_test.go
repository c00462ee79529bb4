package ssspfake

import (
	"archive/zip"
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/testfile"
)

// pause is not part of what talk sends.
const pause = "<pause>"

// talk sends text and returns everything that the server sends. At a pause it waits for
// the next ACC.
func talk(t *testing.T, s *Server, text string) string {
	t.Helper()
	network, address, err := backends.ParseAddress(s.Address())
	if err != nil {
		t.Fatal(err)
	}
	nc, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(time.Minute))
	for part := range strings.SplitAfterSeq(text, pause) {
		part, wait := strings.CutSuffix(part, pause)
		if _, err := io.WriteString(nc, part); err != nil {
			t.Fatal(err)
		}
		if wait {
			var b []byte
			for one := make([]byte, 1); !bytes.Contains(b, []byte("ACC")) || b[len(b)-1] != '\n'; b = append(b, one[0]) {
				if _, err := io.ReadFull(nc, one); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	reply, err := io.ReadAll(nc)
	if err != nil {
		t.Fatal(err)
	}
	return string(reply)
}

func TestDialogue(t *testing.T) {
	s := Start(t, Options{MaxScanData: 500000})
	// Requests end in LF or CRLF, with or without the version before them.
	got := talk(t, s, "SSSP/1.0\nSSSP/1.0 QUERY SERVER\r\nHELLO\r\nSCANDATA 500001\nSCANFILE /etc/passwd\nBYE\r\n")
	want := "OK SSSP/1.0\r\nACC 5B990001/1\r\nACC 5B990001/2\r\nversion: SAV Dynamic Interface 2.6.0\r\n" +
		"method: QUERY SERVER\r\nmethod: QUERY SAVI\r\nmethod: QUERY ENGINE\r\nmethod: OPTIONS\r\nmethod: SCANDATA\r\n" +
		"maxscandata: 500000\r\nmaxmemorysize: 250000\r\nmaxclassificationsize: 4096\r\n\r\nREJ 1\r\nREJ 4\r\nREJ 5\r\nBYE\r\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestScan(t *testing.T) {
	const options = "OPTIONS\r\nsavigrp: GrpArchiveUnpack 1\r\n\r\n"
	eicar, locked := string(testfile.EICAR()), string(testfile.Encrypted())
	var plain bytes.Buffer
	w := zip.NewWriter(&plain)
	m, err := w.Create("dir/e i.txt")
	if err == nil {
		_, err = m.Write(testfile.EICAR())
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, options, data, want string
		events                    bool
	}{
		{"clean", options, "text", "DONE OK 0000 The function call succeeded\r\n\r\n", false},
		{"EICAR", "", eicar, "VIRUS EICAR-AV-Test \r\nOK 0203 \r\nDONE OK 0203 Virus found during virus scan\r\n\r\n", false},
		{"EICAR with events", "", eicar, "EVENT FILE \r\nFILE \r\nTYPE D0\r\nEVENT VIRUS EICAR-AV-Test \r\nVIRUS EICAR-AV-Test \r\nOK 0203 \r\nDONE OK 0203 Virus found during virus scan\r\n\r\n", true},
		{"encrypted", options, locked, "FAIL 0212 /locked.txt\r\nDONE FAIL 0212 File was encrypted\r\n\r\n", false},
		{"encrypted, not unpacked", "", locked, "DONE OK 0000 The function call succeeded\r\n\r\n", false},
		{"member", options, plain.String(), "VIRUS EICAR-AV-Test /dir/e%20i.txt\r\nOK 0203 /dir/e%20i.txt\r\nDONE OK 0203 Virus found during virus scan\r\n\r\n", false},
		{"both", options, plain.String() + locked, "FAIL 0212 /locked.txt\r\nDONE FAIL 0212 File was encrypted\r\n\r\n", false}, // the last directory counts
		{"code", options, MarkCode + "060F", "FAIL 060F \r\nDONE FAIL 060F Scan terminated due to timeout\r\n\r\n", false},
		{"garbage", options, MarkGarbage, "\x00\xffgarbage\r\nDONE OK 0000 The function call succeeded\r\n\r\n", false},
		{"close", options, MarkClose, "", false},
		{"slow", options, MarkSlow + "1", "DONE OK 0000 The function call succeeded\r\n\r\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Start(t, Options{Network: "tcp", EventLines: c.events})
			got := talk(t, s, c.options+"SCANDATA "+strconv.Itoa(len(c.data))+"\r\n"+pause+c.data+"BYE\r\n")
			// With OPTIONS the pause ends at the first ACC.
			if i := strings.LastIndex(got, "ACC"); i >= 0 {
				_, got, _ = strings.Cut(got[i:], "\r\n")
			} else if c.options != "" {
				t.Fatalf("got %q", got)
			}
			if got = strings.TrimSuffix(got, "BYE\r\n"); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestRealArchive scans an archive made by zip.
func TestRealArchive(t *testing.T) {
	program, err := exec.LookPath("zip")
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "clean.txt"), []byte("clean"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-q", "-P", "secret", "enc.zip", "clean.txt")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s := Start(t, Options{ScanFile: true})
	path := filepath.Join(dir, "enc.zip")
	got := talk(t, s, "OPTIONS\nsavigrp: GrpArchiveUnpack 1\n\nSCANFILE "+path+"\nBYE\n")
	if want := "\r\nFAIL 0212 " + path + "/clean.txt\r\nDONE FAIL 0212 File was encrypted\r\n\r\nBYE\r\n"; !strings.HasSuffix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

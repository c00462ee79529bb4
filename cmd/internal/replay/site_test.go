package replay

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/protocol"
	"polyclam/test/clamdtest"
	"polyclam/test/testkit"
)

// object returns the bytes of object i. All objects differ.
func object(t *testing.T, i int) []byte {
	t.Helper()
	text := fmt.Appendf(nil, "object %d\n", i)
	switch i % 12 {
	case 1:
		text = append(text, clamdtest.One...)
	case 2:
		text = append(text, clamdtest.Two...)
	case 3:
		text = append(text, bytes.Repeat([]byte("large "), 1000)...) // above a max_size
	case 4, 5:
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		m, err := w.CreateRaw(&zip.FileHeader{Name: fmt.Sprintf("letter-%d.txt", i), Flags: 1, CompressedSize64: 40, UncompressedSize64: 28})
		if err == nil {
			_, err = m.Write(bytes.Repeat([]byte("?"), 40))
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	return text
}

// startScripted starts a polyclam whose answers depend on the object and on nothing else,
// and returns its address. Its engines have every category, several names, and findings with
// failures.
func startScripted(t *testing.T, seed uint64) string {
	t.Helper()
	return testkit.Serve(t, "tcp", func(c net.Conn) {
		conn := protocol.NewConn(c)
		for {
			switch cmd, err := conn.ReadCommand(); {
			case err != nil:
				return
			case cmd.Verb == protocol.VerbXInstream:
				sum := fnv.New64()
				conn.Stream(0, time.Minute).WriteTo(sum)
				io.WriteString(c, scripted(rand.New(rand.NewPCG(sum.Sum64(), seed))))
				return
			case cmd.Verb != protocol.VerbXTag:
				io.WriteString(c, "UNKNOWN COMMAND\x00")
				return
			}
		}
	})
}

// scripted is an answer with the records of one to three engines.
func scripted(r *rand.Rand) string {
	names := []string{"Win.Virus-1", "PUA.Tool", "Joke", "Heuristics.Limits.Exceeded", "Heuristics.Encrypted.Zip", `"back\\slash and space"`}
	failed := []string{"swerr", "interrupted", "cannot-execute", "not-installed"}
	all := backends.Categories()
	worst := backends.OK
	var records strings.Builder
	n := 1 + r.IntN(3)
	for i := range n {
		c := backends.OK
		if r.IntN(3) == 0 {
			c = all[r.IntN(len(all))]
		}
		if backends.Stronger(c, worst) {
			worst = c
		}
		fmt.Fprintf(&records, "stream: engine=e%d category=%s action=ok code=%d", i, c, r.IntN(9))
		switch {
		case c.IsFailure():
			records.WriteString(" msg=failed")
		case c != backends.OK:
			for j := range r.IntN(4) {
				fmt.Fprintf(&records, " %s=%s", []string{"name", "also"}[min(j, 1)], names[r.IntN(len(names))])
			}
			if r.IntN(3) == 0 {
				fmt.Fprintf(&records, " failure=%s msg=failed", failed[r.IntN(len(failed))])
			}
		}
		records.WriteString(" ENGINE\x00")
	}
	line := "stream: OK\x00"
	if worst != backends.OK {
		line = "stream: something FOUND\x00"
	}
	return fmt.Sprintf("%s%sstream: category=%s action=ok code=0 engine=e0 engines=%d failed=0 version=1 SUMMARY\x00END\x00", line, records.String(), worst, n)
}

// script is a program with findings and failures that depend on the object.
const script = `#!/bin/sh
read -r word n <"$1"
case $word-$n in
object-*[05]) ;;
object-*1) echo "Virus: Script.One" ;;
object-*2) echo "Virus: Script.Two"; echo "Error: member" ;;
object-*3) echo "Locked" ;;
object-*4) echo "Locked"; echo "Virus: PUA.Script" ;;
object-*6) echo "Suspicious: Script.Macro" ;;
object-*7) echo "Damaged" ;;
object-*8) echo "Error: no memory" ;;
object-*9) exit 3 ;;
esac
exit 0
`

// send has a listener scan objects in one session, every third one with its own id.
func send(ctx context.Context, network, address string, objects [][]byte, first int) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	go func() {
		io.WriteString(c, "nIDSESSION\n")
		for i, o := range objects {
			var b []byte
			if (first+i)%3 == 0 {
				b = fmt.Appendf(b, "nXTAG queue-%d\n", first+i)
			}
			b = append(binary.BigEndian.AppendUint32(append(b, "nINSTREAM\n"...), uint32(len(o))), o...)
			if _, err := c.Write(append(b, 0, 0, 0, 0)); err != nil {
				return
			}
		}
		io.WriteString(c, "nEND\n")
	}()
	replies, err := io.ReadAll(c)
	if n := bytes.Count(replies, []byte("\n")); err == nil && n < len(objects) {
		err = fmt.Errorf("%d replies for %d objects: %.200q", n, len(objects), replies)
	}
	return err
}

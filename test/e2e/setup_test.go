package e2e

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"polyclam/test/clamdtest"
	"polyclam/test/testkit"
)

func TestMain(m *testing.M) { os.Exit(clamdtest.Main(m)) }

// hang is how long anything may take before the test gives up.
const hang = 60 * time.Second

// config has clamd and inspect as engines. The reported name is always clamd's.
func config(engine, more string) string {
	return fmt.Sprintf(`
[[listener]]
address = "unix:${DIR}/p.sock"
mode = "0666"

[[listener]]
address = "tcp:127.0.0.1:${PORT}"

[[engine]]
name = "clamav"
backend = "clamd"
address = "unix:%s"
%s

[[engine]]
name = "inspect"
backend = "inspect"

[policy]
first_virus = "wait"

[spool]
directory = "${DIR}/tmp"
`, engine, more)
}

// ask sends the bytes, half-closes after a stream, and returns the reply.
func ask(network, address, request string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(hang))
	if _, err := io.WriteString(c, request); err != nil {
		return "", err
	}
	reply, err := io.ReadAll(c)
	return string(reply), err
}

// instream is a complete INSTREAM of one chunk.
func instream(content string) string {
	return "zINSTREAM\x00" + chunk(content) + "\x00\x00\x00\x00"
}

func chunk(s string) string {
	n := len(s)
	return string([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + s
}

var poll = testkit.Eventually

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func zipped(t *testing.T, name, content string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	m, err := w.Create(name)
	if err == nil {
		_, err = m.Write([]byte(content))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

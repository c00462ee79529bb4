package sophie

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/test/testkit"
)

// fake is a Sophie that answers by [backendtest.Marked]. exim, amavis and MIMEDefang are
// written for its answers 0 and 1:EICAR-AV-Test; the texts after -1 are composed of
// SAVI's messages.
type fake struct {
	end  string // of a line: "\n", "\r\n", "\x00" or nothing
	keep bool   // leaves the connection open until the client closes it
	backendtest.Misbehaviour
}

// start starts the fake and returns its address.
func (f fake) start(tb testing.TB, network string) string {
	tb.Helper()
	return testkit.Serve(tb, network, f.serve)
}

func (f fake) serve(nc net.Conn) {
	r := bufio.NewReader(nc)
	line, err := r.ReadString('\n')
	if err != nil {
		return
	}
	line = strings.TrimRight(line, "\r\n")
	var data []byte
	if n, ok := strings.CutPrefix(line, "stream/"); ok {
		size, err := strconv.ParseInt(n, 10, 64)
		if err != nil {
			return
		}
		io.WriteString(nc, "OK\r\n")
		var b bytes.Buffer
		if f.Early && size > 1<<10 {
			io.CopyN(&b, r, 1<<10)
			io.WriteString(nc, answerTo(b.Bytes())+f.end)
			io.Copy(io.Discard, r)
			return
		}
		if _, err := io.CopyN(&b, r, size); err != nil {
			return
		}
		data = b.Bytes()
	} else if data, err = os.ReadFile(line); err != nil {
		fmt.Fprintf(nc, "-1:Could not open item%s", f.end)
		return
	}
	answer := answerTo(data) + f.end
	if f.Odd != "" && bytes.Contains(data, []byte(backendtest.MarkOdd)) {
		answer = f.Odd
	}
	io.WriteString(nc, answer)
	if f.Repeat > 0 {
		time.Sleep(f.Repeat)
		io.WriteString(nc, answer)
	}
	if f.keep {
		io.Copy(io.Discard, r)
	}
}

func answerTo(data []byte) string {
	switch backendtest.Marked(data) {
	case backends.OK:
		return "0"
	case backends.Virus:
		return "1:EICAR-AV-Test"
	case backends.Suspicious:
		return "1:Mal/Composed-A"
	case backends.Encrypted:
		return "-1:File was encrypted"
	case backends.Partial:
		return "-1:File was corrupt"
	}
	return "-1:Sweep failure"
}

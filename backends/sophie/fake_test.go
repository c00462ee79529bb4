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
	"sync"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// fake is a Sophie that answers by the marks of backendtest. Its answers 0 and
// 1:EICAR-AV-Test are those that exim, amavis and MIMEDefang are written for; the
// texts behind -1 are composed of SAVI's messages.
type fake struct {
	end  string // of a line: "\n", "\r\n", "\x00" or nothing
	keep bool   // the connection stays until the client goes
	backendtest.Misbehaviour
}

// start starts it and returns its address.
func (f fake) start(tb testing.TB, network string) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "polyclam")
	if err != nil {
		tb.Fatal(err)
	}
	address := dir + "/sophie"
	if network == "tcp" {
		address = "127.0.0.1:0"
	}
	l, err := net.Listen(network, address)
	if err != nil {
		tb.Fatal(err)
	}
	var wg sync.WaitGroup
	tb.Cleanup(func() {
		l.Close()
		wg.Wait()
		os.RemoveAll(dir)
	})
	wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer nc.Close()
				f.serve(nc)
			})
		}
	})
	return network + ":" + l.Addr().String()
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
			io.WriteString(nc, says(b.Bytes())+f.end)
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
	answer := says(data) + f.end
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

func says(data []byte) string {
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

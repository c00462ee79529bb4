package protocol_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"

	"polyclam/protocol"
	"polyclam/protocol/extended"
)

// script runs a server for one connection. It expects the first string of each pair and
// sends the second.
func script(pairs ...string) (socket string, stop func()) {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	socket = filepath.Join(dir, "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		panic(err)
	}
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		for i := 0; i < len(pairs); i += 2 {
			got := make([]byte, len(pairs[i]))
			if _, err := io.ReadFull(nc, got); err != nil || string(got) != pairs[i] {
				return
			}
			io.WriteString(nc, pairs[i+1])
		}
	}()
	return socket, func() { ln.Close(); os.RemoveAll(dir) }
}

func ExampleReplyError() {
	socket, stop := script("zINSTREAM\x00", "INSTREAM size limit exceeded. ERROR\x00")
	defer stop()

	c := protocol.Client{Network: "unix", Address: socket}
	_, err := c.Instream(context.Background(), strings.NewReader(strings.Repeat("x", 1<<20)))
	switch {
	case errors.Is(err, protocol.ErrInstreamLimit):
		fmt.Println("too large for the server: do not retry")
	case err != nil:
		fmt.Println(err)
	}
	// Output: too large for the server: do not retry
}

func ExampleClient_XInstream() {
	socket, stop := script("zXINSTREAM\x00\x00\x00\x00\x01x\x00\x00\x00\x00",
		"stream: OK\x00"+
			"stream: engine=sophos category=encrypted action=ok code=2 msg=\"Password protected file foo.zip/foo.txt\" ENGINE\x00"+
			"stream: category=encrypted action=ok code=2 engine=sophos engines=1 failed=0 version=1 SUMMARY\x00"+
			"END\x00")
	defer stop()

	c := protocol.Client{Network: "unix", Address: socket}
	reply, err := c.XInstream(context.Background(), strings.NewReader("x"))
	if errors.Is(err, protocol.ErrUnknownCommand) {
		fmt.Println("a plain clamd: use Instream")
		return
	}
	fmt.Println(reply, err)
	for _, r := range reply.Records {
		if r.Word == extended.WordEngine {
			e, err := r.Engine()
			fmt.Println(e.Engine, e.Category, e.Message, err)
		}
	}
	// Output:
	// stream: OK <nil>
	// sophos encrypted Password protected file foo.zip/foo.txt <nil>
}

func ExampleClientSession() {
	socket, stop := script(
		"zIDSESSION\x00zINSTREAM\x00\x00\x00\x00\x01x\x00\x00\x00\x00", "1: stream: OK\x00",
		"zINSTREAM\x00\x00\x00\x00\x01y\x00\x00\x00\x00", "2: stream: X FOUND\x00",
		"zEND\x00", "")
	defer stop()

	c := protocol.Client{Network: "unix", Address: socket}
	ctx := context.Background()
	s, err := c.Open(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	for _, object := range []string{"x", "y"} {
		reply, err := s.Instream(ctx, strings.NewReader(object))
		fmt.Println(reply.ID, reply, err)
	}
	// Output:
	// 1 stream: OK <nil>
	// 2 stream: X FOUND <nil>
}

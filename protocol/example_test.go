package protocol_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"strings"
	"time"

	"polyclam/protocol"
)

// Example runs a tiny server that finds something in every stream, and scans a stream with
// it.
func Example() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go serve(nc)
		}
	}()

	c := protocol.Client{Network: "tcp", Address: ln.Addr().String()}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	reply, err := c.Instream(ctx, strings.NewReader("hello"))
	switch {
	case err != nil:
		fmt.Println("not scanned:", err)
	case reply.Found():
		fmt.Println("found", reply.Text)
	default:
		fmt.Println("clean")
	}
	// Output: found Example.5-Bytes
}

// serve answers one command.
func serve(nc net.Conn) {
	conn := protocol.NewConn(nc)
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	cmd, err := conn.ReadCommand()
	if err != nil {
		return // clamd does not answer either
	}
	reply := "UNKNOWN COMMAND"
	switch cmd.Verb {
	case protocol.VerbPing:
		reply = "PONG"
	case protocol.VerbInstream:
		stream := conn.Stream(100<<20, 2*time.Minute)
		n, err := stream.WriteTo(io.Discard)
		if err == protocol.ErrStreamLimit {
			stream.Drain(time.Second, 20*time.Second, 1<<30)
			reply = "INSTREAM size limit exceeded. ERROR"
			break
		}
		if err != nil {
			return
		}
		reply = fmt.Sprintf("stream: Example.%d-Bytes FOUND", n)
	}
	conn.WriteReply(append([]byte(reply), cmd.Term), time.Second)
	conn.CloseWrite()
	conn.Discard(time.Second, 5*time.Second, 1<<20)
}

package protocol_test

import (
	"fmt"
	"io"
	"net"
	"time"

	"polyclam/protocol"
)

// answer serves one connection of a clamd that answers PING, and finds the same
// in whatever it is sent.
func answer(nc net.Conn) {
	conn := protocol.NewConn(nc)
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	cmd, err := conn.ReadCommand()
	if err != nil {
		return // clamd says nothing either
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

// A clamd in a few lines: listen, read a command, read its stream, answer.
func ExampleNewConn() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer ln.Close()
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go answer(nc)
		}
	}()

	for _, request := range []string{"nPING\n", "nINSTREAM\n\x00\x00\x00\x05hello\x00\x00\x00\x00"} {
		nc, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			panic(err)
		}
		io.WriteString(nc, request)
		reply, _ := io.ReadAll(nc)
		nc.Close()
		fmt.Printf("%s", reply)
	}
	// Output:
	// PONG
	// stream: Example.5-Bytes FOUND
}

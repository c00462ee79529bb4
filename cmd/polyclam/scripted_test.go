package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/protocol"
	"polyclam/test/testkit"
)

// script is a scripted server. It gets each command with the object's bytes, and returns the
// reply; nil closes the connection.
type script func(verb protocol.Verb, data []byte) []byte

// play starts a server on a Unix socket and a TCP port, and returns their addresses.
func play(t *testing.T, s script) (unix, tcp string) {
	t.Helper()
	var wg sync.WaitGroup
	listen := func(network, address string) string {
		ln, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
		wg.Go(func() {
			for {
				nc, err := ln.Accept()
				if err != nil {
					return
				}
				wg.Go(func() { s.serve(nc) })
			}
		})
		return network + ":" + ln.Addr().String()
	}
	t.Cleanup(wg.Wait) // after the listeners are closed
	return listen("unix", filepath.Join(testkit.SocketDir(t), "s")), listen("tcp", "127.0.0.1:0")
}

// serve answers one command.
func (s script) serve(nc net.Conn) {
	c := protocol.NewConn(nc)
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(hang))
	cmd, err := c.ReadCommand()
	if err != nil {
		return
	}
	var data bytes.Buffer
	switch cmd.Verb {
	case protocol.VerbInstream, protocol.VerbXInstream:
		stream := c.Stream(1<<20, hang)
		if _, err := stream.WriteTo(&data); errors.Is(err, protocol.ErrStreamLimit) {
			stream.Drain(hang, hang, 1<<30)
		} else if err != nil {
			return
		}
	case protocol.VerbFildes, protocol.VerbXFildes:
		f, err := c.Descriptor()
		if err != nil {
			return
		}
		defer f.Close()
		// clamd reads from the beginning, whatever the offset of the descriptor.
		if _, err := io.Copy(&data, io.NewSectionReader(f, 0, 1<<40)); err != nil {
			return
		}
	}
	c.WriteReply(s(cmd.Verb, data.Bytes()), hang)
}

// plainClamd answers as clamd 1.4.6 does.
func plainClamd(verb protocol.Verb, data []byte) []byte {
	object := map[protocol.Verb]string{protocol.VerbInstream: "stream: ", protocol.VerbFildes: "fd[10]: "}[verb]
	switch {
	case verb == protocol.VerbVersionCommands:
		return []byte("ClamAV 1.4.6/27500/Mon Nov 23 08:00:00 2026| COMMANDS: SCAN QUIT RELOAD PING CONTSCAN VERSIONCOMMANDS VERSION END SHUTDOWN MULTISCAN FILDES STATS IDSESSION INSTREAM DETSTATSCLEAR DETSTATS ALLMATCHSCAN\x00")
	case verb == protocol.VerbVersion:
		return []byte("ClamAV 1.4.6/27500/Mon Nov 23 08:00:00 2026\x00")
	case verb == protocol.VerbPing:
		return []byte("PONG\x00")
	case object == "":
		return []byte("UNKNOWN COMMAND\x00")
	case verb == protocol.VerbInstream && len(data) > 1000:
		return []byte("INSTREAM size limit exceeded. ERROR\x00")
	}
	switch backendtest.Marked(data) {
	case backends.OK:
		return []byte(object + "OK\x00")
	case backends.Virus:
		return []byte(object + "Eicar-Test-Signature FOUND\x00")
	case backends.Encrypted:
		return []byte(object + "Heuristics.Encrypted.Zip FOUND\x00")
	case backends.Partial:
		return []byte(object + "Heuristics.Limits.Exceeded.MaxFiles FOUND\x00")
	case backends.Suspicious:
		return []byte(object + "Heuristics.OLE2.ContainsMacros FOUND\x00")
	}
	return []byte(object + "Can't allocate memory ERROR\x00")
}

// fakePolyclamd is a server that claims to be polyclamd, and gives this reply to every scan,
// with the name of the object for "OBJECT".
func fakePolyclamd(reply string) script {
	return func(verb protocol.Verb, _ []byte) []byte {
		switch verb {
		case protocol.VerbVersionCommands:
			return []byte(protocol.VersionCommands("ClamAV 1.4.6") + "\x00")
		case protocol.VerbXFildes:
			return bytes.ReplaceAll([]byte(reply), []byte("OBJECT"), []byte("fd[9]"))
		}
		return bytes.ReplaceAll([]byte(reply), []byte("OBJECT"), []byte("stream"))
	}
}

package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// serveClamd speaks clamd's protocol as far as polyclam uses it: z commands.
func serveClamd(c *conversation) error {
	in := &descriptorReader{nc: c.Conn}
	defer in.close()
	r := bufio.NewReader(in)
	for id, session := 0, false; ; {
		command, err := r.ReadString(0)
		if err != nil {
			return err
		}
		command = strings.TrimSuffix(command, "\x00")
		if command == "zIDSESSION" {
			session = true
			continue
		}
		if command == "zEND" {
			return nil
		}
		if session {
			id++
		}
		if err := c.clamdCommand(r, in, command, id); err != nil || !session {
			return err
		}
	}
}

// clamdCommand executes one command. id is 0 outside a session.
func (c *conversation) clamdCommand(r *bufio.Reader, in *descriptorReader, command string, id int) error {
	prefix, other := "", ""
	if id > 0 {
		prefix, other = fmt.Sprintf("%d: ", id), fmt.Sprintf("%d: ", id+1)
	}
	verb, path, _ := strings.Cut(command, " ")
	s := (*scanning)(nil)
	name := "stream"
	answer := func() error {
		text := name + ": " + clamdWords(s) + "\x00"
		return s.say(prefix+text, prefix+name+": Can't allocate memory ERROR\x00", other+text)
	}
	var err error
	switch verb {
	case "zINSTREAM":
		s = c.begin()
		err = s.receive(&chunks{r: r}, -1, answer)
	case "zFILDES":
		s = c.begin()
		if _, err := r.ReadByte(); err != nil {
			return err
		}
		f := in.next()
		if f == nil {
			_, err := io.WriteString(c, prefix+"No file descriptor received. ERROR\x00")
			return err
		}
		defer f.Close()
		s.inHand()
		name = fmt.Sprintf("fd[%d]", f.Fd())
		err = s.receive(io.NewSectionReader(f, 0, 1<<62), -1, answer)
	case "zSCAN":
		s, name = c.begin(), path
		f, openErr := os.Open(path)
		if openErr != nil {
			return openErr
		}
		defer f.Close()
		s.inHand()
		err = s.receive(f, -1, answer)
	default:
		return c.clamdTalk(verb, prefix)
	}
	if err != nil {
		return err
	}
	return answer()
}

func (c *conversation) clamdTalk(verb, prefix string) error {
	text := map[string]string{
		"zPING":    "PONG",
		"zVERSION": version(c.mode().Generation),
		"zRELOAD":  "RELOADING",
	}[verb]
	if verb == "zRELOAD" {
		c.reloaded()
	}
	if text == "" {
		text = "UNKNOWN COMMAND"
	}
	_, err := io.WriteString(c, prefix+text+"\x00")
	return err
}

// version is the reply to VERSION. Signatures of a later generation have a later date.
func version(generation int) string {
	date := time.Date(2026, time.November, 23, 14, 20, 49, 0, time.UTC).Add(time.Duration(generation) * time.Minute)
	return fmt.Sprintf("ClamAV 1.4.6/%d/%s", 27000+generation, date.Format(time.ANSIC))
}

func clamdWords(s *scanning) string {
	switch {
	case s.j.Virus != "":
		return s.j.Virus + " FOUND"
	case s.j.Encrypted:
		return "Heuristics.Encrypted.Zip FOUND"
	}
	return "OK"
}

// chunks reads an object in chunks.
type chunks struct {
	r    io.Reader
	left uint32
	done bool
}

func (c *chunks) Read(p []byte) (int, error) {
	if c.left == 0 && !c.done {
		if err := binary.Read(c.r, binary.BigEndian, &c.left); err != nil {
			return 0, io.ErrUnexpectedEOF
		}
		c.done = c.left == 0
	}
	if c.done {
		return 0, io.EOF
	}
	n, err := c.r.Read(p[:min(uint32(len(p)), c.left)])
	c.left -= uint32(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// descriptorReader keeps the descriptors that arrive with the bytes it reads.
type descriptorReader struct {
	nc    net.Conn
	files []*os.File
}

func (d *descriptorReader) Read(p []byte) (int, error) {
	uc, ok := d.nc.(*net.UnixConn)
	if !ok {
		return d.nc.Read(p)
	}
	control := make([]byte, unix.CmsgSpace(4*4))
	n, controlN, _, _, err := uc.ReadMsgUnix(p, control)
	if err != nil {
		return 0, err // n is -1
	}
	messages, parseErr := unix.ParseSocketControlMessage(control[:controlN])
	for _, m := range messages {
		rights, err := unix.ParseUnixRights(&m)
		parseErr = errors.Join(parseErr, err)
		for _, fd := range rights {
			d.files = append(d.files, os.NewFile(uintptr(fd), "received"))
		}
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, parseErr
}

// next is the oldest descriptor that no command has used.
func (d *descriptorReader) next() *os.File {
	if len(d.files) == 0 {
		return nil
	}
	f := d.files[0]
	d.files = d.files[1:]
	return f
}

func (d *descriptorReader) close() {
	for _, f := range d.files {
		f.Close()
	}
}

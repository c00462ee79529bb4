package main

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// serveSSSP is savdid's side of a session.
func serveSSSP(c *conversation) error {
	session := &ssspSession{conversation: c, r: bufio.NewReader(c), id: fmt.Sprintf("5B99%04X", c.number)}
	if err := session.put("OK SSSP/1.0"); err != nil {
		return err
	}
	for {
		line, err := session.line()
		if err != nil {
			return err
		}
		if err := session.obey(line); err != nil {
			return err
		}
	}
}

type ssspSession struct {
	*conversation
	r      *bufio.Reader
	id     string
	number int
}

func (s *ssspSession) line() (string, error) {
	line, err := s.r.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

func (s *ssspSession) put(lines ...string) error {
	_, err := io.WriteString(s, strings.Join(lines, "\r\n")+"\r\n")
	return err
}

// accept is the line that accepts a request.
func (s *ssspSession) accept() string {
	s.number++
	return fmt.Sprintf("ACC %s/%d", s.id, s.number)
}

func (s *ssspSession) obey(line string) error {
	name, argument, _ := strings.Cut(line, " ")
	switch {
	case line == "SSSP/1.0":
		return s.put(s.accept())
	case line == "BYE":
		s.put("BYE")
		return io.EOF
	case line == "QUERY SERVER":
		return s.put(s.accept(), "version: SAV Dynamic Interface 2.6.0", "method: QUERY SERVER", "method: OPTIONS", "method: SCANDATA", "maxscandata: 0", "")
	case line == "QUERY ENGINE":
		return s.put(s.accept(), "engineversion: 3.85.1", fmt.Sprintf("savversion: 5.%d", 90+s.mode().Generation), "")
	case line == "OPTIONS":
		for line, err := s.line(); line != "" || err != nil; line, err = s.line() {
			if err != nil {
				return err
			}
		}
		return s.put(s.accept(), "DONE OK 0000 The function call succeeded", "")
	case name == "SCANDATA":
		return s.scanData(argument)
	}
	return s.put("REJ 1")
}

func (s *ssspSession) scanData(argument string) error {
	size, err := strconv.ParseInt(argument, 10, 64)
	if err != nil || size < 0 {
		return s.put("REJ 1")
	}
	scan := s.begin()
	if scan.m.Fault == "wrongid" {
		s.number++
	}
	if err := s.put(s.accept()); err != nil {
		return err
	}
	answer := func() error {
		text := ssspWords(scan)
		return scan.say(text, "DONE FAIL 0213 internal error\r\n\r\n", "ACC "+s.id+"/1\r\n"+text)
	}
	if err := scan.receive(io.LimitReader(s.r, size), size, answer); err != nil {
		return err
	}
	return answer()
}

func ssspWords(s *scanning) string {
	var lines []string
	if s.j.Virus != "" {
		lines = append(lines, "VIRUS "+s.j.Virus+" ", "OK 0203 ")
	}
	if s.j.Encrypted {
		lines = append(lines, "FAIL 0212 /locked.txt")
	}
	switch {
	case s.j.Virus != "":
		lines = append(lines, "DONE OK 0203 Virus found during virus scan")
	case s.j.Encrypted:
		lines = append(lines, "DONE FAIL 0212 File was encrypted")
	default:
		lines = append(lines, "DONE OK 0000 The function call succeeded")
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

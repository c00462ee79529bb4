package clients

import (
	"fmt"
	"net"
	"net/textproto"
	"regexp"
	"time"
)

// ftpPassword is the password of the account "tester".
const ftpPassword = "secret"

// sendByFTP logs in, uploads data with a command like STOR in passive mode, and returns
// every reply of the server after the upload, or the replies that refuse it.
func sendByFTP(address, command string, content []byte) ([]string, error) {
	nc, err := net.DialTimeout("tcp", address, hang)
	if err != nil {
		return nil, err
	}
	nc.SetDeadline(time.Now().Add(hang))
	c := textproto.NewConn(nc)
	defer c.Close()
	if _, _, err := c.ReadResponse(220); err != nil {
		return nil, err
	}
	var passive string
	for _, step := range []struct {
		command string
		code    int
	}{{"USER tester", 331}, {"PASS " + ftpPassword, 230}, {"TYPE I", 200}, {"PASV", 227}} {
		if _, err := c.Cmd("%s", step.command); err != nil {
			return nil, err
		}
		if _, passive, err = c.ReadResponse(step.code); err != nil {
			return nil, err
		}
	}
	data, err := dialPassive(passive)
	if err != nil {
		return nil, err
	}
	defer data.Close()
	if _, err := c.Cmd("%s", command); err != nil {
		return nil, err
	}
	code, text, err := c.ReadResponse(0)
	if err == nil && code == 150 {
		if _, err := data.Write(content); err != nil {
			return nil, err
		}
		data.Close()
		code, text, err = c.ReadResponse(0)
	}
	if err != nil {
		return nil, err
	}
	more, err := farewell(c)
	return append([]string{fmt.Sprintf("%d %s", code, text)}, more...), err
}

// farewell sends QUIT and returns the replies before the 221: mod_clamav sends its own
// for a virus, and proftpd adds another.
func farewell(c *textproto.Conn) (replies []string, err error) {
	if _, err := c.Cmd("QUIT"); err != nil {
		return nil, err
	}
	for {
		code, text, err := c.ReadResponse(0)
		if err != nil {
			return replies, err
		}
		if code == 221 {
			return replies, nil
		}
		replies = append(replies, fmt.Sprintf("%d %s", code, text))
	}
}

// passiveAddress is the end of the reply to PASV: four bytes of address, two of port.
var passiveAddress = regexp.MustCompile(`\((\d+),(\d+),(\d+),(\d+),(\d+),(\d+)\)`)

func dialPassive(reply string) (net.Conn, error) {
	var p [6]int
	m := passiveAddress.FindString(reply)
	if _, err := fmt.Sscanf(m, "(%d,%d,%d,%d,%d,%d)", &p[0], &p[1], &p[2], &p[3], &p[4], &p[5]); err != nil {
		return nil, fmt.Errorf("PASV: %q", reply)
	}
	return net.DialTimeout("tcp", fmt.Sprintf("%d.%d.%d.%d:%d", p[0], p[1], p[2], p[3], p[4]<<8+p[5]), hang)
}

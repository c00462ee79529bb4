package migrate

import (
	"net"
	"regexp"
	"strings"
)

// setting is a line of a simple configuration: "Key value", "key = value" or "Key: value".
type setting struct {
	line       int
	key, value string // the key in lower case
}

// settings splits a simple configuration. Separator is "=" or ":", or "" for a blank.
func settings(data, separator string) (list []setting) {
	const most = 10_000
	number := 0
	for line := range strings.Lines(data) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' || len(list) == most {
			continue
		}
		var key, value string
		if separator != "" {
			key, value, _ = strings.Cut(line, separator)
		} else if at := strings.IndexAny(line, " \t"); at > 0 {
			key, value = line[:at], line[at:]
		}
		key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
		if key != "" {
			list = append(list, setting{number, key, strings.Trim(value, `"'`)})
		}
	}
	return list
}

// last returns the last setting of a key.
func last(list []setting, key string) (s setting) {
	for _, o := range list {
		if o.key == key {
			s = o
		}
	}
	return s
}

// isOn reports whether a value switches something on.
func isOn(value string) bool {
	switch strings.ToLower(value) {
	case "on", "yes", "true", "1":
		return true
	}
	return false
}

// readMilter reads a clamav-milter.conf, which has the format of clamd.conf.
func readMilter(data string) (list []mention) {
	c := parseConf("", []byte(data))
	if c.example > 0 {
		return nil
	}
	for _, o := range c.all("ClamdSocket") {
		if address, ok := addressOf(o.value); ok && len(list) < maxMentions {
			list = append(list, mention{line: o.line, address: address})
		}
	}
	return list
}

// readClamsmtp reads a clamsmtpd.conf.
func readClamsmtp(data string) []mention {
	s := last(settings(data, ":"), "clamaddress")
	if s.line == 0 {
		s = setting{1, "", "/var/run/clamav/clamd"} // its default
	}
	if address, ok := addressOf(s.value); ok {
		return []mention{{line: s.line, address: address, paths: true}}
	}
	return nil
}

var serverSeparator = regexp.MustCompile(`[\s,;]+`)

// readHaraka reads the plugin's clamd.ini.
func readHaraka(data string) (list []mention) {
	s := last(settings(data, "="), "clamd_socket")
	if s.line == 0 {
		s = setting{1, "", "localhost:3310"} // its default
	}
	for _, server := range serverSeparator.Split(s.value, maxMentions) {
		if address, ok := addressOf(server); ok {
			list = append(list, mention{line: s.line, address: address})
		}
	}
	return list
}

// readProftpd reads mod_clamav's directives. Several sections may have their own.
func readProftpd(data string) (list []mention) {
	all := settings(data, "")
	if !isOn(last(all, "clamav").value) {
		return nil
	}
	paths := !isOn(last(all, "clamstream").value)
	port := clamdPortNumber
	if s := last(all, "clamport"); s.line > 0 {
		port = s.value
	}
	for _, s := range all {
		var address string
		var ok bool
		switch s.key {
		case "clamlocalsocket":
			address, ok = addressOf(s.value)
		case "clamserver":
			address, ok = tcpOf(s.value, port)
		}
		if ok && len(list) < maxMentions {
			list = append(list, mention{line: s.line, address: address, paths: paths})
		}
	}
	return list
}

// readHavp reads a havp.config.
func readHavp(data string) []mention {
	all := settings(data, "")
	if !isOn(last(all, "enableclamd").value) {
		return nil
	}
	socket, server, port := last(all, "clamdsocket"), last(all, "clamdserver"), last(all, "clamdport")
	if server.line > 0 {
		if port.line == 0 {
			port.value = clamdPortNumber
		}
		if address, ok := tcpOf(server.value, port.value); ok {
			return []mention{{line: server.line, address: address, paths: true}}
		}
		return nil
	}
	if socket.line == 0 {
		socket = setting{last(all, "enableclamd").line, "", "/tmp/clamd"} // its default
	}
	if address, ok := addressOf(socket.value); ok {
		return []mention{{line: socket.line, address: address, paths: true}}
	}
	return nil
}

// readSquidclamav reads a squidclamav.conf.
func readSquidclamav(data string) []mention {
	all := settings(data, "")
	if local := last(all, "clamd_local"); local.line > 0 {
		if address, ok := addressOf(local.value); ok {
			return []mention{{line: local.line, address: address}}
		}
	}
	ip, port := last(all, "clamd_ip"), last(all, "clamd_port")
	if port.line == 0 {
		port.value = clamdPortNumber
	}
	// clamd_ip may be a list of servers.
	for server := range strings.SplitSeq(ip.value, ",") {
		if address, ok := tcpOf(strings.TrimSpace(server), port.value); ok {
			return []mention{{line: ip.line, address: address}}
		}
	}
	return nil
}

// readSamba reads the module virusfilter's settings of a smb.conf.
func readSamba(data string) (list []mention) {
	all := settings(data, "=")
	if last(all, "virusfilter:scanner").value != "clamav" {
		return nil
	}
	for _, s := range all {
		if address, ok := addressOf(s.value); s.key == "virusfilter:socket path" && ok && len(list) < maxMentions {
			list = append(list, mention{line: s.line, address: address, paths: true})
		}
	}
	return list
}

// readMailScanner reads a MailScanner.conf.
func readMailScanner(data string) []mention {
	all := settings(data, "=")
	scanners := strings.Fields(last(all, "virus scanners").value)
	if len(scanners) > 0 && !strings.Contains(" "+strings.Join(scanners, " ")+" ", " clamd ") && scanners[0] != "auto" {
		return nil
	}
	socket, port := last(all, "clamd socket"), last(all, "clamd port")
	address, ok := addressOf(socket.value)
	if ok && strings.HasPrefix(address, "tcp:") && port.line > 0 {
		host, _, _ := net.SplitHostPort(strings.TrimPrefix(address, "tcp:"))
		address, ok = tcpOf(host, port.value)
	}
	if !ok || socket.line == 0 {
		return nil
	}
	return []mention{{line: socket.line, address: address, paths: true}}
}

var nextcloudSetting = regexp.MustCompile(`['"](av_mode|av_socket|av_host|av_port)['"]\s*=>\s*` + perlString)

// readNextcloud reads the settings of the app files_antivirus in a config.php. Usually
// they are in Nextcloud's database instead.
func readNextcloud(data string) []mention {
	values := map[string]setting{}
	for _, at := range nextcloudSetting.FindAllStringSubmatchIndex(data, maxMentions) {
		values[data[at[2]:at[3]]] = setting{lineAt(data, at[0]), "", firstGroup(data, at, 2, 3)}
	}
	var address string
	var ok bool
	s := values["av_socket"]
	switch values["av_mode"].value {
	case "socket":
		address, ok = addressOf(s.value)
	case "daemon":
		s = values["av_host"]
		port := values["av_port"].value
		if port == "" {
			port = clamdPortNumber
		}
		address, ok = tcpOf(s.value, port)
	}
	if !ok {
		return nil
	}
	return []mention{{line: s.line, address: address}}
}

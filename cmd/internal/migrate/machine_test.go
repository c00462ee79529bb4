package migrate

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	presets "polyclam/backends/command"
)

// TestTakenOver writes configurations for a clamd.conf.
func TestTakenOver(t *testing.T) {
	const socket = "LocalSocket /run/c/s.ctl\n"
	for _, c := range []struct {
		name, conf string
		parts      []string
	}{
		{"names", "LocalSocket /run/c/clamd\n", []string{`"unix:/run/c/clamd"`, `"unix:/run/c/clamd-engine"`}},
		{"a dot in a directory", "LocalSocket /run/c.d/clamd\n", []string{`"unix:/run/c.d/clamd-engine"`}},
		{"quotes and backslashes", "LocalSocket \"/run/a \\b\".ctl\"\n", []string{`"unix:/run/a \\b\".ctl"`, `"unix:/run/a \\b\"-engine.ctl"`}},
		{"the first one counts", "LocalSocket /a/b\nLocalSocket /c/d\nMaxThreads 3\nMaxThreads 4\n", []string{`"unix:/a/b"`, "max_scans = 3\n", "!/c/d"}},
		{"mode", socket + "LocalSocketMode 777\n", []string{`mode = "0666"`}},
		{"a bad mode", socket + "LocalSocketMode rw\n", []string{"!mode = ", `clamd.conf:2: LocalSocketMode: "rw" is not a mode; left out`}},
		{"a group of another machine", socket + "LocalSocketGroup clamav\n", []string{`group = "110"`}},
		{"an unknown group", socket + "LocalSocketGroup nosuch\n", []string{"!group = ", `clamd.conf:2: LocalSocketGroup: there is no group "nosuch"; left out`}},
		{"port for all", "TCPSocket 3310\n", []string{`"tcp:[::]:3310"`, "without TCPAddr, on all addresses", `"tcp:127.0.0.1:3311"`, "!reload_command"}},
		{"IPv4 only", "TCPSocket 3310\nTCPAddr 0.0.0.0\nTCPAddr 192.0.2.1\nTCPAddr ::1\n", []string{`"tcp:0.0.0.0:3310"`, `"tcp:[::1]:3310"`, "!192.0.2.1:", "!IPv6 too"}},
		{"ports, some twice", "TCPSocket 3310\nTCPAddr 127.0.0.1\nTCPAddr localhost\nTCPAddr ::1\n", []string{`"tcp:127.0.0.1:3310"`, `"tcp:[::1]:3310"`, "!localhost:", "reload_command = true"}},
		{"all addresses and one", "TCPSocket 3310\nTCPAddr 192.0.2.1\nTCPAddr ::\n", []string{`"tcp:[::]:3310"`, "unlike clamd's", "!\"tcp:192.0.2.1"}},
		{"both wildcards", "TCPSocket 3310\nTCPAddr 0.0.0.0\nTCPAddr ::\n", []string{`"tcp:[::]:3310"`, "!0.0.0.0:", "!unlike clamd's"}},
		{"a bad address", socket + "TCPSocket 3310\nTCPAddr \"a\x01\"\n", []string{"!tcp:a", "is not an address; left out"}},
		{"over a port max_size is clamd's", "TCPSocket 3310\nStreamMaxLength 25M\n", []string{`max_size = "25MiB"`, `stream = "25MiB"`}},
		{"sizes", socket + "StreamMaxLength 700M\n", []string{`stream = "700MiB"`, `max_size = "700MiB"`, `spool_total = "2800MiB"`}},
		{"no limit", socket + "StreamMaxLength 0\n", []string{`stream = "2047MiB"`, `max_size = "2047MiB"`, `spool_total = "8188MiB"`, "no limit, but clamd scans nothing of 2 GiB or more"}},
		{"beyond the library", socket + "StreamMaxLength 4G\n", []string{`stream = "2047MiB"`, "clamd scans nothing of 2 GiB or more"}},
		{"a bad size", socket + "StreamMaxLength 1T\n", []string{"!stream = ", `clamd.conf:2: StreamMaxLength: "1T" is not a size; left out`}},
		{"an odd size", socket + "StreamMaxLength 1000001\n", []string{"stream = 1000001\n"}},
		{"times", socket + "CommandReadTimeout 5\nReadTimeout 0\n", []string{`command_read_timeout = "5s"`, "!\nread_timeout", "ReadTimeout 0: read_timeout cannot be unlimited"}},
		{"times beyond a day", socket + "ReadTimeout 99999999\n", []string{`read_timeout = "86400s"`, "the largest value is 86400"}},
		{"no depth", socket + "MaxDirectoryRecursion 0\n", []string{"directory_depth = 1000"}},
		{"too many threads", socket + "MaxThreads 99999\n", []string{"!max_scans =", "max_scans must be between 1 and 10000"}},
		{"no threads", socket + "MaxThreads 0\n", []string{"!max_scans ="}},
		{"no number", socket + "MaxThreads many\n", []string{"!max_scans =", `clamd.conf:2: MaxThreads: "many" is not a number; left out`}},
		{"alerts", socket + "AlertEncryptedDoc TRUE\nAlertExceedsMax 1\n", []string{"\nencrypted = \"quarantine\"", "\npartial = \"quarantine\""}},
		{"alerts that are off", socket + "AlertEncrypted no\nAlertExceedsMax false\n", []string{"\n#encrypted = \"ok\"", "\n#partial = \"ok\""}},
		{"the old name of an alert", socket + "ArchiveBlockEncrypted yes\n", []string{"\n#encrypted = \"ok\"", "ArchiveBlockEncrypted yes: clamd ignores it since 0.101"}},
		{"no RELOAD", socket + "EnableReloadCommand no\n", []string{"reload_command = false"}},
		{"not taken over", socket + "ExcludePath ^/proc\nMaxQueue 9\nCrossFilesystems no\nFollowFileSymlinks yes\nSendBufTimeout 5\n",
			[]string{"clamd.conf:2: ExcludePath ^/proc: ", ":3: MaxQueue", ":4: CrossFilesystems no: ", ":5: FollowFileSymlinks yes: ", ":6: SendBufTimeout"}},
		{"VirusEvent", socket + "VirusEvent /bin/mail -s \"%v\" root\nAlertEncrypted yes\n", []string{"# /etc/clamav/clamd.conf:2: VirusEvent",
			`[on_find]` + "\n" + `program = "/bin/sh"` + "\n" + `arguments = ["-c", "/bin/mail -s \"${CLAM_VIRUSEVENT_VIRUSNAME}\" root"]` + "\n" + `categories = ["virus", "suspicious", "encrypted"]`}},
		{"VirusEvent of a clamd moved by hand", "LocalSocket /run/c/s-engine.ctl\nVirusEvent /x\n", []string{"!\n[on_find]", "VirusEvent /x: clamd still runs it"}},
		{"unknown keys", socket + "NoSuchKey x\nMaxFileSize 1M\n", []string{"!NoSuchKey", "!MaxFileSize"}},
		{"control characters", socket + "VirusEvent \x1b[2J\u202e\xff\n", []string{"VirusEvent ?[2J??", "!\x1b"}},
		{"moved by hand", "LocalSocket /run/c/s-engine.ctl\n", []string{`address = "unix:/run/c/s.ctl"`, `address = "unix:/run/c/s-engine.ctl"`, "!engine-engine"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := tree(t, "", "etc/clamav/clamd.conf", c.conf, "etc/group", "clamav:x:110:\n", "var/run", "->/run", "run/", "")
			wantParts(t, configOf(t, look(t, Options{Root: dir})), c.parts...)
		})
	}
}

// TestAdvice has settings with which clamd says OK to objects that it did not scan.
func TestAdvice(t *testing.T) {
	const socket = "LocalSocket /run/c/s.ctl\n"
	for _, c := range []struct {
		name, conf string
		parts      []string // of the advice
	}{
		{"none", socket, []string{"!HeuristicScanPrecedence", "!MaxFileSize"}},
		{"precedence", socket + "HeuristicScanPrecedence yes\n", []string{
			"/etc/clamav/clamd.conf:2: HeuristicScanPrecedence yes: clamd stops at the first heuristic match",
			"clamd-engine.conf, which --move-clamd writes, has HeuristicScanPrecedence no.", "!MaxFileSize"}},
		{"no precedence", socket + "HeuristicScanPrecedence no\n", []string{"!HeuristicScanPrecedence"}},
		{"small files, as Debian has it", socket + "MaxFileSize 25M\nMaxScanSize 100M\n", []string{
			"/etc/clamav/clamd.conf:2: MaxFileSize 25M; /etc/clamav/clamd.conf:3: MaxScanSize 100M: clamd says OK to objects over its limits without scanning them, and polyclam sends it objects of up to 100M (max_size).",
			"has MaxFileSize 100M and MaxScanSize 400M."}},
		{"small files with an alert", socket + "MaxFileSize 25M\nAlertExceedsMax yes\n", []string{"!MaxFileSize"}},
		{"enough", socket + "MaxFileSize 100M\nMaxScanSize 200M\n", []string{"!MaxFileSize", "!MaxScanSize"}},
		{"no limits", socket + "MaxFileSize 0\nMaxScanSize 0\nStreamMaxLength 0\n", []string{"!MaxFileSize", "!MaxScanSize"}},
		{"large streams", socket + "StreamMaxLength 700M\n", []string{
			"/etc/clamav/clamd.conf has no MaxFileSize, and the default is 100M; /etc/clamav/clamd.conf has no MaxScanSize, and the default is 400M", "has MaxFileSize 700M and MaxScanSize 2800M."}},
		{"small streams over a port", "TCPSocket 3310\nStreamMaxLength 10M\nMaxFileSize 25M\n", []string{"!MaxFileSize"}},
		{"moved by hand", "LocalSocket /run/c/s-engine.ctl\nMaxFileSize 25M\n", []string{"To change that, write MaxFileSize 100M in /etc/clamav/clamd.conf."}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := look(t, Options{Root: tree(t, "", "etc/clamav/clamd.conf", c.conf)})
			wantParts(t, strings.Join(m.Advice(), "\n"), c.parts...)
		})
	}
}

// TestAdviceTaken checks that clamd's new configuration has what the advice says.
func TestAdviceTaken(t *testing.T) {
	dir := tree(t, "", "etc/clamav/clamd.conf", "LocalSocket /run/c/s.ctl\n  MaxFileSize 25M\nMaxFileSize 1M\n#MaxFileSize 2M\nHeuristicScanPrecedence yes\nLogTime yes")
	m := look(t, Options{Root: dir})
	wantParts(t, strings.Join(m.Advice(), "\n"), "clamd-engine.conf, which --move-clamd writes, has HeuristicScanPrecedence no.", "has MaxFileSize 100M.")
	move(t, dir)
	got := read(t, dir, "etc/clamav/clamd-engine.conf")
	wantParts(t, got, "LocalSocket /run/c/s-engine.ctl\n#  MaxFileSize 25M\n#MaxFileSize 1M\n#MaxFileSize 2M\n#HeuristicScanPrecedence yes\nLogTime yes\n",
		"\nHeuristicScanPrecedence no\n", "\nMaxFileSize 100M\n")
	// As the clamd.conf of another machine, it needs no change.
	again := look(t, Options{Root: tree(t, "", "etc/clamav/clamd.conf", strings.TrimPrefix(got, "# Written"))})
	if left := again.Advice(); len(left) > 0 {
		t.Errorf("afterwards: %q", left)
	}
	if changes := again.changes(); len(changes) > 0 {
		t.Errorf("afterwards: %+v", changes)
	}
}

// TestRefused has machines for which there can be no configuration.
func TestRefused(t *testing.T) {
	long := "/run/" + strings.Repeat("x", 97)
	for _, c := range []struct {
		name  string
		files []string
		o     Options
		want  string
	}{
		{"relative socket", []string{"etc/clamd.conf", "\nLocalSocket c.ctl\n"}, Options{}, `/etc/clamd.conf:2: LocalSocket: "c.ctl" depends on the directory`},
		{"socket too long for the engine", []string{"etc/clamd.conf", "LocalSocket " + long + "\n"}, Options{}, `/etc/clamd.conf:1: LocalSocket: "unix:`},
		{"socket of bytes", []string{"etc/clamd.conf", "LocalSocket /run/\xff\n"}, Options{}, "/etc/clamd.conf:1: LocalSocket: "},
		{"no port", []string{"etc/clamd.conf", "TCPSocket 70000\n"}, Options{}, "/etc/clamd.conf:1: TCPSocket: 70000 is not a port"},
		{"no address", []string{"etc/clamd.conf", "LogSyslog yes\n"}, Options{}, "/etc/clamd.conf: there is neither LocalSocket nor TCPSocket"},
		{"a directory", []string{"etc/clamd.conf/", ""}, Options{}, "/etc/clamd.conf: not a regular file"},
		{"links in a circle", []string{"etc/clamd.conf", "->clamd.conf"}, Options{}, "/etc/clamd.conf: too many levels of symbolic links"},
		{"a huge file", []string{"etc/clamd.conf", "LocalSocket /a\n" + strings.Repeat("#\n", maxFile)}, Options{}, "/etc/clamd.conf: larger than 1048576 bytes"},
		{"no such file", nil, Options{ClamdConf: "/etc/my.conf"}, "/etc/my.conf: no such file or directory"},
		{"no such scanner", nil, Options{With: []string{"sweep"}}, "--with sweep: not found on this machine; found: nothing"},
		{"a scanner that asks clamd", []string{"usr/bin/clamdscan", "#!"}, Options{With: []string{"clamdscan"}}, "--with clamdscan: it asks the clamd of clamd.conf"},
		{"a service that asks clamd", []string{"etc/c-icap.conf", "Port 1\nService x squidclamav.so\n"}, Options{With: []string{"c-icap"}}, "--with c-icap: it asks clamd"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Root, c.o.Dial = tree(t, "", c.files...), answering(nil)
			_, err := Look(c.o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestFIFO(t *testing.T) {
	dir := tree(t, "", "etc/", "")
	if err := syscall.Mkfifo(filepath.Join(dir, "etc/clamd.conf"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Look(Options{Root: dir, Dial: answering(nil)}); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("error %v", err)
	}
}

// TestChoice has machines with several or odd files.
func TestChoice(t *testing.T) {
	example := "Example\nLocalSocket /run/e\n"
	for _, c := range []struct {
		name    string
		files   []string
		answers map[string]string
		conf    string   // that is taken over; empty: none
		rows    []string // parts of them
	}{
		{"nothing", nil, nil, "", nil},
		{"an example", []string{"etc/clamd.conf", "#\n" + example}, nil, "", []string{`/etc/clamd.conf:2: clamd does not start with the line "Example"`}},
		{"an example and another", []string{"etc/clamav/clamd.conf", example, "etc/clamd.d/mail.conf", "LocalSocket /run/m\n"}, nil, "/etc/clamd.d/mail.conf", nil},
		{"the first", []string{"etc/clamd.conf", "LocalSocket /run/a\n", "etc/clamd.d/scan.conf", "LocalSocket /run/b\n"}, nil, "/etc/clamd.d/scan.conf", []string{"--clamd-conf /etc/clamd.conf selects this one"}},
		{"the one that answers", []string{"etc/clamd.conf", "LocalSocket /run/a\n", "etc/clamd.d/scan.conf", "LocalSocket /run/b\n"}, map[string]string{"unix:/run/a": pong}, "/etc/clamd.conf", nil},
		{"a link out of the root", []string{"etc/clamd.conf", "->../../../../etc/x.conf", "etc/x.conf", "LocalSocket /run/x\n"}, nil, "/etc/clamd.conf", nil},
		{"a link to nothing", []string{"etc/clamd.conf", "->/nowhere"}, nil, "", nil},
		{"the engine's", []string{"etc/clamd.d/scan-engine.conf", engineConfHead + "\nLocalSocket /run/x-engine\n"}, nil, "", []string{"of the clamd that polyclam asks"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := look(t, Options{Root: tree(t, "", c.files...), Dial: answering(c.answers)})
			got := ""
			if m.clamd != nil {
				got = m.clamd.conf.path
			}
			if got != c.conf {
				t.Errorf("took %q, want %q", got, c.conf)
			}
			var rows strings.Builder
			for _, r := range m.Rows() {
				rows.WriteString(strings.Join([]string{r.What, r.Where, r.Means, r.Used}, " | ") + "\n")
			}
			wantParts(t, rows.String(), c.rows...)
		})
	}
}

// TestWithoutConf has machines without a clamd.conf.
func TestWithoutConf(t *testing.T) {
	dir := tree(t, "")
	text := configOf(t, look(t, Options{Root: dir}), "no anti-virus engine is configured")
	wantParts(t, text, "No clamd was found", `"unix:/run/polyclam/clamd.sock"`, `"tcp:127.0.0.1:3310"`, "#backend = \"clamd\"")

	socketAt(t, dir, "run/clamav/clamd.sock")
	text = configOf(t, look(t, Options{Root: dir, Dial: answering(map[string]string{"unix:/run/clamav/clamd.sock": pong})}))
	wantParts(t, text, "\naddress = \"unix:/run/clamav/clamd.sock\"", `"unix:/run/polyclam/clamd.sock"`)

	m := look(t, Options{Root: tree(t, ""), Dial: answering(map[string]string{"tcp:127.0.0.1:3310": pong})})
	text = configOf(t, m)
	wantParts(t, text, "\naddress = \"tcp:127.0.0.1:3310\"", "!clamd's port, for this machine only")
	if _, err := m.MoveClamd(); err == nil {
		t.Error("a clamd without clamd.conf was moved")
	}
}

// TestEveryPreset installs the scanners of all presets, and switches each on.
func TestEveryPreset(t *testing.T) {
	var files, names []string
	for _, p := range presets.Presets() {
		program := p.Argv[0]
		if !strings.HasPrefix(program, "/") {
			program = "usr/bin/" + program
		}
		files = append(files, program, "#!")
		names = append(names, p.Name)
	}
	dir := tree(t, "alpine", files...)
	m := look(t, Options{Root: dir})
	idle := configOf(t, m)
	if len(m.programs) != len(names) {
		t.Errorf("%d of %d presets found", len(m.programs), len(names))
	}
	wantParts(t, idle, "![spool]\n", "!\nbackend = \"command\"")
	for _, name := range names {
		if clamdClients[name] != "" {
			continue
		}
		m, err := Look(Options{Root: dir, With: []string{name}, Dial: answering(nil)})
		if err != nil {
			t.Error(err)
			continue
		}
		wantParts(t, configOf(t, m), "\npreset = \""+name+"\"")
	}
}

// TestEngines has engines other than clamd.
func TestEngines(t *testing.T) {
	const icap = "ICAP/1.0 200 OK\r\n"
	scan := "Port 127.0.0.1:1344\nService a virus_scan.so\n"
	for _, c := range []struct {
		name    string
		files   []string
		sockets []string
		answers map[string]string
		with    []string
		parts   []string
	}{
		{"savdid", []string{"etc/savdid.conf", "channel {\n commprotocol { type: IP address: 10.0.0.1 port: 4010 }\n scanprotocol { type: SSSP }\n}\n"}, nil,
			map[string]string{"tcp:10.0.0.1:4010": "OK SSSP/1.0\r\n"}, nil, []string{"\nbackend = \"sssp\"\naddress = \"tcp:10.0.0.1:4010\""}},
		{"savdid says something else", []string{"etc/savdid.conf", "channel { commprotocol { type: IP }\n scanprotocol { type: SSSP } }\n"}, nil,
			map[string]string{"tcp:127.0.0.1:4010": "220 mail\r\n"}, nil, []string{"\n#backend = \"sssp\"", "its greeting is not savdid's"}},
		{"savdid is silent, but wanted", []string{"etc/savdid.conf", "channel { commprotocol { type: IP }\n scanprotocol { type: SSSP } }\n"}, nil,
			nil, []string{"savdid"}, []string{"\nbackend = \"sssp\""}},
		{"savdid's sockets", nil, []string{"var/run/savdi/sssp.sock", "var/run/savdi/sophie.sock"}, map[string]string{"unix:/var/run/savdi/sssp.sock": "OK SSSP/1.0\r\n", "unix:/var/run/savdi/sophie.sock": ""}, nil,
			[]string{"\nname = \"sophos\"", "\nbackend = \"sophie\"", "!\n[spool]"}},
		{"odd savdid.conf", []string{"etc/savdid.conf", "}}} channel { } channel { commprotocol {\n type:\n} : {{{ x: y\n"}, nil, nil, nil, []string{"!sssp"}},
		{"two channels", []string{"etc/savdid.conf", "channel { commprotocol { type: IP }\n scanprotocol { type: SSSP } }\nchannel { commprotocol { type: IP port: 1 }\n scanprotocol { type: SSSP } }\n"}, nil,
			map[string]string{"tcp:127.0.0.1:4010": "OK SSSP/1.0\r\n", "tcp:127.0.0.1:1": "OK SSSP/1.0\r\n"}, nil, []string{"\nname = \"sophos\"", "\nname = \"sophos-2\""}},
		{"Sophie", nil, []string{"var/run/sophie"}, map[string]string{"unix:/var/run/sophie": ""}, nil, []string{"\nbackend = \"sophie\"", "!\n[spool]"}},
		{"Sophie is silent", nil, []string{"var/run/sophie"}, nil, nil, []string{"\n#backend = \"sophie\"", "!\n#[spool]"}},
		{"c-icap", []string{"etc/c-icap.conf", scan}, nil, map[string]string{"tcp:127.0.0.1:1344": icap}, nil, []string{"\nbackend = \"icap\"", "\nservice = \"virus_scan\""}},
		{"c-icap is silent", []string{"etc/c-icap.conf", scan}, nil, nil, nil, []string{"\n#backend = \"icap\""}},
		{"c-icap does not know the service", []string{"etc/c-icap.conf", scan}, nil, map[string]string{"tcp:127.0.0.1:1344": "ICAP/1.0 404 Not Found\r\n"}, nil, []string{"\n#backend = \"icap\""}},
		{"c-icap asks clamd", []string{"etc/c-icap.conf", scan + "Include m.conf\n", "etc/m.conf", "Module common clamd_mod.so\n"}, nil, map[string]string{"tcp:127.0.0.1:1344": icap}, nil,
			[]string{"\n#backend = \"icap\"", "it asks clamd", "/etc/m.conf:1:"}},
		{"c-icap includes itself", []string{"etc/c-icap.conf", scan + "Include c-icap.conf\n"}, nil, nil, nil, []string{"\n#backend = \"icap\""}},
		{"c-icap scans nothing", []string{"etc/c-icap.conf", "Port 1344\nService echo srv_echo.so\n"}, nil, nil, nil, []string{"!icap"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := tree(t, "alpine", c.files...)
			for _, s := range c.sockets {
				socketAt(t, dir, s)
			}
			wantParts(t, configOf(t, look(t, Options{Root: dir, With: c.with, Dial: answering(c.answers)})), c.parts...)
		})
	}
}

// TestProbesEnd has servers that never stop sending, or say nothing.
func TestProbesEnd(t *testing.T) {
	m := &Machine{opts: Options{Dial: answering(map[string]string{"unix:/long": strings.Repeat("x", 1<<20), "unix:/empty": "", "unix:/other": "PONG\n\x00"})}}
	for _, address := range []string{"unix:/long", "unix:/empty", "unix:/nobody", "nonsense"} {
		if err := m.ping(address); err == nil {
			t.Errorf("%s answers PING", address)
		}
	}
}

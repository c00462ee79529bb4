package differential

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// garbageDialogues are what port scanners and lost clients send.
func garbageDialogues(*fixture) []dialogue {
	var ds []dialogue
	for _, g := range []struct{ name, bytes string }{
		{"TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\xa7\x01", 200)}, {"SSH", "SSH-2.0-OpenSSH_9.2\r\n"},
		{"HTTP GET", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"}, {"HTTP POST", "POST /scan HTTP/1.1\r\nContent-Length: 5\r\n\r\nzPING"}, {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
		{"SMTP", "EHLO mail.example.org\r\n"}, {"ICAP", "OPTIONS icap://localhost/avscan ICAP/1.0\r\n\r\n"}, {"PROXY", "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"}, {"NULs", strings.Repeat("\x00", 100)},
		{"0xff", strings.Repeat("\xff", 100)}, {"blanks", "      \r\n"}, {"shell", "`reboot`; $(reboot)\n"}, {"format", "%s%s%s%n\n"}, {"long line", strings.Repeat("a", 20000)}, {"n-garbage", "nothing of this\n"},
		{"z-garbage", "zebra crossing\x00"}, {"redis", "*1\r\n$4\r\nPING\r\n"}, {"RDP", "\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00"},
	} {
		ds = append(ds, dialogue{name: "garbage/" + g.name, steps: []step{send(g.bytes)}})
		ds = append(ds, dialogue{name: "garbage/" + g.name + ", TCP", tcp: true, steps: []step{send(g.bytes)}})
	}
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 1))
		b := make([]byte, 1+r.IntN(300))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		if b[0] == 'n' || b[0] == 'z' {
			b[0] = 'x'
		}
		ds = append(ds, dialogue{name: fmt.Sprintf("garbage/random %d", seed), steps: []step{send(string(b))}})
	}
	return ds
}

// customDialogues are the habits of known clients, including odd ones.
func customDialogues(f *fixture) []dialogue {
	var ds []dialogue
	add := func(name string, steps ...step) *dialogue {
		ds = append(ds, dialogue{name: "client/" + name, steps: steps, norm: all(fdNumber, sorted)})
		return &ds[len(ds)-1]
	}
	mail := "From: a@example.org\r\nSubject: x\r\n\r\n" + strings.Repeat("a line of mail\r\n", 700) + eicar + "\r\n" + strings.Repeat("and more\r\n", 50)
	mail = strings.Replace(mail, eicar, "polyclam-test-marker-one", 1)
	for _, tcp := range []bool{false, true} {
		on := map[bool]string{true: " over TCP", false: ""}[tcp]
		over := func(name string, steps ...step) { add(name+on, steps...).tcp = tcp }
		over("MIMEDefang, check_clamd: bare PING", send("PING"))
		over("James: PING line", send("PING\r\n"))
		over("proftpd: a newline behind the stream", pieces("nINSTREAM\n", chunked(mail, 4096), "\n"))
		over("proftpd: at once", send("nINSTREAM\n"+chunked(mail, 4096)+"\n"))
		over("pyclamd: two end markers", send("nINSTREAM\n"), send(chunked(mail, 4096)+end))
		over("python-clamd: chunks of 1024", send("nINSTREAM\n"), send(chunked(mail, 1024)))
		over("appwrite: five bytes of end", send("zINSTREAM\x00"), send(chunked(mail+strings.Repeat("\x00", 100), 8192)+"\x00"))
		over("Haraka: a header of its own", send("zINSTREAM\x00"), send(chunk("Received: from Haraka clamd plugin\r\n")), send(chunked(mail, 88)))
		over("rspamd, exim: one chunk", send("zINSTREAM\x00"+stream(mail)))
		over("clamav-milter: the command long before the data", send("nINSTREAM\n"), pause(300*time.Millisecond), send(chunk("From clamav-milter\n")), send(chunked(mail, 1400)))
		over("clamdscan: half-close behind the stream", send("zINSTREAM\x00"+chunked(mail, 8188)), half)
		over("node clamscan: data behind the stream", send("zINSTREAM\x00"+chunked(mail, 65536)+mail))
		over("ruby: a session for one scan", send("nIDSESSION\n"), send("nINSTREAM\n"+chunked(mail, 1024)), await("\n"), half)
		over("amavis: session", send("zIDSESSION\x00zINSTREAM\x00"+chunked(mail, 32764)), send("zINSTREAM\x00"+chunked(clean, 32764)), send("zEND\x00"))
		over("ClamAV::Client: old STREAM", send("STREAM\n"))
		over("ClamAV::Client: VERSION", send("VERSION\n"))
		over("clamdscan --version", send("zVERSION\x00"))
		over("clamdscan --multiscan --stream", send("zIDSESSION\x00"), send("zINSTREAM\x00"+chunked(mail, 8188)), send("zINSTREAM\x00"+chunked(eicar, 8188)), send("zEND\x00"))
	}
	add("MIMEDefang: SCAN line", send("SCAN "+f.path("dirone")+"\n"))
	add("exim, clamsmtp: SCAN line", send("SCAN "+f.path("eicar")+"\n"))
	add("node clamscan: bare SCAN", send("SCAN "+f.path("eicar")))
	add("node clamscan: bare MULTISCAN", send("MULTISCAN "+f.path("dirone")))
	add("amavis: CONTSCAN line", send("CONTSCAN "+f.path("dirmany")+"\n"))
	add("e2guardian: SCAN with CRLF", send("SCAN "+f.path("eicar")+"\r\n"))
	add("samba: zSCAN", send("zSCAN "+f.path("with blank")+"\x00"))
	add("c-icap: FILDES", send("zFILDES\x00"), sendFiles("\x00", f.opened("eicar")))
	add("clamav-milter: FILDES long after the command", send("nFILDES\n"), pause(300*time.Millisecond), sendFiles("\x00", f.opened("eicar")))
	add("clamdscan --multiscan --fdpass", send("zIDSESSION\x00"), send("zFILDES\x00"), sendFiles("\x00", f.opened("eicar")), send("zFILDES\x00"), sendFiles("\x00", f.opened("clean")), send("zEND\x00"))
	add("clamdscan: CONTSCAN", send("zCONTSCAN "+f.path("dirmany")+"\x00"))
	return ds
}

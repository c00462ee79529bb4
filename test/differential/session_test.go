package differential

import (
	"strings"
	"time"

	"polyclam/test/clamdtest"
)

// sessionDialogues are valid IDSESSIONs.
func sessionDialogues(f *fixture) []dialogue {
	var ds []dialogue
	add := func(name string, steps ...step) *dialogue {
		ds = append(ds, dialogue{name: "session/" + name, steps: steps, norm: all(fdNumber, sorted)})
		return &ds[len(ds)-1]
	}
	z, n := "zIDSESSION\x00", "nIDSESSION\n"
	in := func(s string) string { return "zINSTREAM\x00" + stream(s) }
	add("PING z", send(z+"zPING\x00zEND\x00"))
	add("PING n", send(n+"nPING\nnEND\n"))
	add("in packets", pieces(z, "zPING\x00", "zVERSION\x00", "zEND\x00"))
	add("z and n mixed", send(z+"nPING\nzPING\x00nVERSION\nzVERSION\x00nEND\n"))
	add("all that is allowed", send(z+"zPING\x00zVERSION\x00zSCAN "+f.path("eicar")+"\x00nSCAN "+f.path("clean")+"\n"+in(eicar)+in(clean)+"zEND\x00"))
	add("eight streams", send(z+in(eicar)+in(clean)+in("")+in(two)+in(clean)+in(eicar)+in(clean)+in(eicar)+"zEND\x00"))
	add("forty streams", send(z+strings.Repeat(in(eicar)+in(clean), 20)+"zEND\x00"))
	add("streams one by one", send(z+in(eicar)), await("FOUND\x00"), send(in(clean)), await("OK\x00"), send("nINSTREAM\n"+stream(eicar)), await("FOUND\n"), send("zEND\x00"))
	add("PING overtakes", send(z+"zSCAN "+f.path("large")+"\x00zPING\x00zPING\x00zEND\x00"))
	add("SCAN of a directory", send(z+"zSCAN "+f.path("dirclean")+"\x00zSCAN "+f.path("dirone")+"\x00zSCAN "+f.path("missing")+"\x00zEND\x00"))
	add("unreadable", send(z+"zSCAN "+f.path("unreadable")+"\x00zPING\x00zEND\x00"))
	add("END only", send(z+"zEND\x00"))
	add("END in its own packet", pieces(n, "nEND\n"))
	add("END, then half-close", send(z+in(eicar)+"zEND\x00"), half)
	add("half-close at once", send(z), half)
	add("half-close behind the replies", send(z+in(eicar)), await("FOUND\x00"), half)
	add("half-close in a command", send(z+"zPI"), half)
	add("half-close in a stream", send(z+in(eicar)), await("FOUND\x00"), send("zINSTREAM\x00"+chunk(eicar)), half)
	add("stays open", send(z+"zPING\x00")).open = true
	add("unfinished command stays open", send(z+"zPING\x00zPIN")).open = true
	add("stream split in every way", pieces("zIDSES", "SION\x00zIN", "STREAM\x00\x00", "\x00\x00\x05he", "llo\x00\x00\x00", "\x00zEN", "D\x00"))
	add("FILDES", send(z+"zFILDES\x00"), consumed, sendFiles("\x00", f.opened("eicar")), await("FOUND\x00"), send("zPING\x00zEND\x00"))
	add("three FILDES", send(z), sendFiles("zFILDES\x00\x00", f.opened("eicar")), await("FOUND\x00"), sendFiles("zFILDES\x00\x00", f.opened("clean")), await("OK\x00"),
		sendFiles("nFILDES\n\x00", f.opened("two")), await("FOUND\n"), send("zEND\x00"))
	add("FILDES pipelined", send(z), sendFiles("zFILDES\x00\x00", f.opened("eicar")), sendFiles("zFILDES\x00\x00", f.opened("clean")), sendFiles("zFILDES\x00\x00", f.opened("two")), send("zEND\x00"))
	add("FILDES of a directory goes on", send(z), sendFiles("zFILDES\x00\x00", f.opened("dirclean")), await("ERROR\x00"), send("zPING\x00zEND\x00"))
	versions := add("VERSIONCOMMANDS", send(z+"zVERSIONCOMMANDS\x00zEND\x00"))
	versions.deviation, versions.want = "D20", []outcome{closed("1: " + versionCommands + "\x00")}
	stats := add("STATS", send(n+"nSTATS\nnEND\n"))
	stats.norm = statsShape
	top := add("clamdtop", send("nIDSESSION\nnVERSION\n"), await("\n"), send("nSTATS\n"), await("END\n"), send("nSTATS\n"), await("END\n"), send("nEND\n"))
	top.norm = statsShape
	return ds
}

// refusedDialogues are sessions with commands that are not allowed there. They are
// played alone: clamd closes the socket of a refused session while a scan may still
// write its reply to that descriptor.
func refusedDialogues(f *fixture) []dialogue {
	var ds []dialogue
	add := func(name string, steps ...step) *dialogue {
		ds = append(ds, dialogue{name: "refused/" + name, world: "wild", steps: steps, norm: all(fdNumber, sorted)})
		return &ds[len(ds)-1]
	}
	for _, c := range []string{
		"IDSESSION", "RELOAD", "SHUTDOWN", "QUIT", "CONTSCAN " + f.path("eicar"), "MULTISCAN " + f.path("eicar"), "ALLMATCHSCAN " + f.path("eicar"),
		"DETSTATS", "DETSTATSCLEAR", "BOGUS", "ping", "STREAM", "SCAN", "INSTREAM x", "",
	} {
		label := strings.ReplaceAll(c, f.dir, "F")
		add("z/"+label, send("zIDSESSION\x00z"+c+"\x00"))
		add("n/"+label, send("nIDSESSION\nn"+c+"\n"))
		add("second/"+label, send("zIDSESSION\x00zPING\x00"), await("PONG\x00"), send("n"+c+"\n"))
	}
	add("bare", send("zIDSESSION\x00"), consumed, send("PING\n"))
	add("bare in an n session", send("nIDSESSION\n"), consumed, send("PING\n"))
	add("bare after PING", send("zIDSESSION\x00nPING\n"), await("PONG\n"), send("garbage"))
	crlf := add("crlf", send("nIDSESSION\r\nnPING\r\n"))
	crlf.open, crlf.deviation, crlf.want = true, "D5", []outcome{open("1: PONG\n")}
	packets := add("crlf in packets", pieces("nIDSESSION\r\n", "nPING\r\n"))
	packets.open, packets.deviation, packets.want = true, "D5", []outcome{open("1: PONG\n")}
	add("NUL in an n session", send("nIDSESSION\n"), consumed, send("\x00"))
	tem := add("two end markers", send("zIDSESSION\x00zINSTREAM\x00"+stream(eicar)), await("FOUND\x00"), send("zINSTREAM\x00"+end+end))
	tem.tries, tem.deviation, tem.want = 40, "D25", []outcome{closed("1: stream: " + eicarName + " FOUND\x002: stream: OK\x00" +
		"3: Error processing command. ERROR\x003: Only nCMDS\\n and zCMDS\\0 are accepted inside IDSESSION. ERROR\x00")}
	add("bytes behind END", send("zIDSESSION\x00zPING\x00"), await("PONG\x00"), send("zEND\x00zPING\x00"))
	add("garbage behind END", send("zIDSESSION\x00zPING\x00"), await("PONG\x00"), send("zEND\x00garbage"))
	add("FILDES without a descriptor", send("zIDSESSION\x00zFILDES\x00x"))
	add("descriptor with PING", send("zIDSESSION\x00"), sendFiles("zPING\x00", f.opened("eicar")))
	add("command too long", send("zIDSESSION\x00"), consumed, send("z"+strings.Repeat("x", 5000)+"\x00"))
	return ds
}

// timeoutDialogues wait until clamd times out, after two seconds here. clamd's clock
// ticks once a second.
func timeoutDialogues(f *fixture) []dialogue {
	var ds []dialogue
	add := func(name string, steps ...step) *dialogue {
		ds = append(ds, dialogue{name: "timeout/" + name, world: "timeouts", steps: steps, norm: all(fdNumber, sorted)})
		return &ds[len(ds)-1]
	}
	const bit = 700 * time.Millisecond
	in := "zINSTREAM\x00"
	add("nothing")
	add("unfinished z", send("zPIN"))
	add("unfinished n", send("nPING"))
	add("unfinished, trickling", send("z"), pause(bit), send("P"), pause(bit), send("I"), pause(bit), send("N"), pause(bit), send("G"), pause(bit), send("X"))
	add("IDSESSION", send("zIDSESSION\x00"))
	add("session behind a reply", send("nIDSESSION\nnPING\n"))
	add("unfinished command in a session", send("zIDSESSION\x00zPI"))
	add("stream not begun", send(in))
	add("in the header", send(in+"\x00\x00"))
	add("behind the header", send(in+"\x00\x00\x00\x10"))
	add("in the data", send(in+"\x00\x00\x00\x10abc"))
	add("before the end marker", send(in+chunk(eicar)))
	add("in the end marker", send(in+chunk(eicar)+"\x00\x00\x00"))
	add("stream in a session", send("zIDSESSION\x00"+in+chunk(eicar)))
	add("second stream of a session", send("zIDSESSION\x00"+in+stream(eicar)+in+chunk(eicar)))
	add("FILDES without its byte", send("zFILDES\x00"))
	add("FILDES without its byte in a session", send("zIDSESSION\x00zFILDES\x00"))
	add("PING keeps a session", send("zIDSESSION\x00zPING\x00"), pause(2*bit), send("zPING\x00"), pause(2*bit), send("zPING\x00"), pause(2*bit), send("zEND\x00"))
	add("data keep a stream", send(in), pause(bit), send(chunk("x")), pause(bit), send(chunk("x")), pause(bit), send(chunk("x")), pause(bit), send(chunk("x")), pause(bit), send(stream(clamdtest.One)))
	over := add("TCP", send("nPI"))
	over.tcp = true
	return ds
}

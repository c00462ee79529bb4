package differential

import (
	"fmt"
	"strings"
)

// framings are the three ways to end a command.
var framings = []struct{ name, prefix, end string }{{"z", "z", "\x00"}, {"n", "n", "\n"}, {"bare", "", "\n"}}

// commandDialogues are all commands in all framings, each with what belongs to it.
func commandDialogues(f *fixture) []dialogue {
	var ds []dialogue
	for _, fr := range framings {
		one := func(command string, more ...step) dialogue {
			steps := append([]step{send(fr.prefix + command + fr.end)}, more...)
			return dialogue{name: fmt.Sprintf("command/%s/%s", fr.name, command), steps: steps}
		}
		for _, c := range []string{"PING", "VERSION", "END", "DETSTATS", "DETSTATSCLEAR"} {
			ds = append(ds, one(c))
		}
		ds = append(ds, unknownDialogues(fr.name, fr.prefix, fr.end)...)
		list := one("VERSIONCOMMANDS")
		if fr.name != "bare" {
			list.deviation, list.want = "D20", []outcome{closed(versionCommands + fr.end)}
		}
		stats := one("STATS")
		stats.norm = statsShape
		session := one("IDSESSION")
		session.open = fr.name != "bare"
		reload := one("RELOAD")
		reload.world = "reload"
		daily := one("VERSION")
		daily.name, daily.world = daily.name+"/database", "daily"
		// Without a prefix it is not a command, and the stream is not scanned.
		instream := one("INSTREAM", send(stream(eicar)))
		fildes := one("FILDES", consumed, sendFiles("\x00", f.opened("eicar")))
		fildes.norm = fdNumber
		ds = append(ds, list, stats, session, reload, daily, instream, fildes)
		for _, c := range []string{"SCAN", "CONTSCAN", "MULTISCAN", "ALLMATCHSCAN"} {
			d := one(c + " " + f.path("eicar"))
			d.name = fmt.Sprintf("command/%s/%s", fr.name, c)
			ds = append(ds, d)
		}
	}
	return ds
}

// versionCommands is polyclam's list: clamd's, then its own.
const versionCommands = "ClamAV 1.4.6| COMMANDS: SCAN QUIT RELOAD SELFCHECK PING CONTSCAN VERSIONCOMMANDS VERSION END SHUTDOWN MULTISCAN FILDES STATS IDSESSION INSTREAM DETSTATSCLEAR DETSTATS ALLMATCHSCAN XINSTREAM XSCAN XCONTSCAN XFILDES XSTATUS XTAG"

func unknownDialogues(name, prefix, end string) []dialogue {
	var ds []dialogue
	for _, c := range []string{
		"BOGUS", "ping", "STREAM", "SESSION", "RAWSCAN /x", "FD 3", "PINGX", "PING ", " PING", "SCAN", "CONTSCAN", "MULTISCAN", "ALLMATCHSCAN",
		"INSTREAM x", "RELOAD x", "VERSIONX", "IDSESSION x", "FILDESX", "STATS x", "END x", "",
	} {
		ds = append(ds, dialogue{name: fmt.Sprintf("unknown/%s/%q", name, c), steps: []step{send(prefix + c + end)}})
	}
	return ds
}

// framingDialogues are the ends of commands: carriage returns, NULs, packets, and no
// end.
func framingDialogues(f *fixture) []dialogue {
	var ds []dialogue
	add := func(name string, steps ...step) *dialogue {
		ds = append(ds, dialogue{name: "framing/" + name, steps: steps})
		return &ds[len(ds)-1]
	}
	for _, s := range []string{
		"PING", "PING\r\n", "PING\x00", "PING\r", "PING\r\r\n", "PING\n\n", "PING\r\n\r\n", "nPING\r\n", "nPING\r\r\n", "zPING\n\x00", "zPING\r\x00",
		"nPI\x00NG\n", "nPING\x00x\n", "PI\x00NG\n", "PING\x00NG\n", "\nPING\n", "\r\nPING\r\n", "nPING \n", "zPING \x00", "VERSION", "nVERSION\r\n",
		"nEND\r\n", "nBOGUS\r\n", "\r\n", "\n", "n\r\n", "\x00", "z\n\x00", "nzPING\n", "znPING\x00", "NPING\n", "ZPING\x00", "n PING\n",
	} {
		add(fmt.Sprintf("%q", s), send(s))
	}
	for _, s := range []string{"nPING", "zPING", "zPING\n", "n", "z", "nPING\r", "zSCAN " + f.path("eicar"), "nPING\x00"} {
		label := strings.ReplaceAll(s, f.dir, "F")
		add(fmt.Sprintf("unfinished/%q", label), send(s)).open = true
		add(fmt.Sprintf("unfinished, half-closed/%q", label), send(s), half)
	}
	add("nothing").open = true
	add("nothing, half-closed", half)
	add("bare in two packets", pieces("PI", "NG\n"))
	add("bare then its newline", pieces("PING", "\n"))
	add("bare scan in two packets", pieces("SCAN "+f.path("eic"), "ar\n"))
	add("bare then half-close", send("PING"), half)
	add("half-close behind the command", send("zPING\x00"), half)
	add("half-close behind a scan", send("zSCAN "+f.path("eicar")+"\x00"), half)
	add("half-close behind a bare scan", send("SCAN "+f.path("eicar")), half)
	return ds
}

// crlfDialogues are newline commands whose LF clamd counts as a byte after the command.
func crlfDialogues(f *fixture) []dialogue {
	found := closed("${F}/eicar: " + eicarName + " FOUND\n")
	ds := []dialogue{
		{name: "crlf/bare SCAN", steps: []step{send("SCAN " + f.path("eicar") + "\r\n")}},
		{name: "crlf/bare CONTSCAN", steps: []step{send("CONTSCAN " + f.path("dirclean") + "\r\n")}},
		{
			name: "crlf/INSTREAM", steps: []step{pieces("nINSTREAM\r\n", stream(eicar))},
			deviation: "D4", want: []outcome{closed("stream: " + eicarName + " FOUND\n")},
		},
		{
			name: "crlf/INSTREAM in one packet", steps: []step{send("nINSTREAM\r\n" + stream(eicar))},
			deviation: "D4", want: []outcome{closed("stream: " + eicarName + " FOUND\n")},
		},
	}
	for _, c := range []string{"SCAN", "CONTSCAN", "ALLMATCHSCAN"} {
		ds = append(ds, dialogue{
			name: "crlf/" + c, steps: []step{send("n" + c + " " + f.path("eicar") + "\r\n")},
			tries: 40, deviation: "D2", want: []outcome{found},
		})
	}
	return ds
}

// pipelineDialogues are several commands in one packet, outside a session.
func pipelineDialogues(f *fixture) []dialogue {
	scan := "zSCAN " + f.path("eicar") + "\x00"
	found := closed("${F}/eicar: " + eicarName + " FOUND\x00")
	instream := "zINSTREAM\x00" + stream(eicar)
	var ds []dialogue
	for i, s := range []string{
		"zPING\x00zPING\x00", "nPING\nnPING\n", "PING\nPING\n", "zPING\x00nPING\n", "zPING\x00garbage", "zPING\x00zBOGUS\x00", "zBOGUS\x00zPING\x00",
		"zVERSION\x00" + scan, "zPING\x00" + scan, "zPING\x00zINSTREAM\x00" + stream(eicar), "nPING\n\x00\x00\x00", "zPING\x00" + strings.Repeat("A", 9000),
		instream + "zPING\x00", instream + "\n", instream + end, instream + "\x00", instream + strings.Repeat("B", 5000), instream + instream,
		"nINSTREAM\n" + stream(clean) + "nINSTREAM\n" + stream(eicar),
	} {
		ds = append(ds, dialogue{name: fmt.Sprintf("pipeline/%d %.40q", i, strings.ReplaceAll(s, f.dir, "F")), steps: []step{send(s)}})
	}
	ds = append(ds,
		dialogue{name: "pipeline/later packet", steps: []step{pieces(scan, "zPING\x00")}},
		dialogue{name: "pipeline/SCAN PING", steps: []step{send(scan + "zPING\x00")}, tries: 40, deviation: "D2", want: []outcome{found}},
		dialogue{name: "pipeline/SCAN SCAN", steps: []step{send(scan + scan)}, tries: 40, deviation: "D2", want: []outcome{found}},
		dialogue{name: "pipeline/SCAN garbage", steps: []step{send(scan + "x")}, tries: 40, deviation: "D2", want: []outcome{found}},
		dialogue{name: "pipeline/SCAN garbage packet", steps: []step{send(scan + strings.Repeat("x", 4000))}, tries: 40, deviation: "D2", want: []outcome{found}},
		dialogue{
			name: "pipeline/STATS PING", steps: []step{send("zSTATS\x00zPING\x00")}, norm: statsShape,
			tries: 40, deviation: "D2", want: []outcome{closed(statsReply + "\x00")},
		},
	)
	return ds
}

// statsReply is the shape of a STATS reply without its terminator.
const statsReply = "POOLS: #\n\nSTATE: VALID PRIMARY\nTHREADS: live #  idle # max # idle-timeout #\nQUEUE: # items\n\n" +
	"MEMSTATS: heap _ mmap _ used _ free _ releasable _ pools # pools_used #M pools_total #M\nEND"

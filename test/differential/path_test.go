package differential

import (
	"slices"
	"strings"
)

// A target is the argument of path commands.
type target struct {
	name, path string

	// deviation is set if polyclam differs, for all verbs or for the named ones. want
	// is polyclam's answer without the terminator.
	deviation, want string
	verbs           []string
}

// targets are files and directories of every kind.
func targets(f *fixture) []target {
	return slices.Concat(fileTargets(f), directoryTargets(f), linkTargets(f), specialTargets(f), spellingTargets(f))
}

// padded is a path of n bytes to a file.
func (f *fixture) padded(file string, n int) string {
	p := f.dir
	for len(p)+len("/./")+len(file) <= n {
		p += "/."
	}
	for len(p)+len("/")+len(file) < n {
		p += "/"
	}
	return p + "/" + file
}

func fileTargets(f *fixture) []target {
	long := strings.Repeat("l", 255)
	return []target{
		{name: "clean", path: f.path("clean")},
		{name: "eicar", path: f.path("eicar")},
		{name: "two", path: f.path("two")},
		{name: "empty", path: f.path("empty")},
		{name: "zip", path: f.path("eicar.zip")},
		{name: "zip with both", path: f.path("both.zip")},
		{name: "unreadable", path: f.path("unreadable")},
		{name: "missing", path: f.path("missing")},
		{name: "below a file", path: f.path("clean/x")},
		{name: "below a missing directory", path: f.path("no/such")},
		{name: "below a locked directory", path: f.path("dirlocked/eicar")},
		{name: "name too long", path: f.path(long + "l")},
		{name: "longest name", path: f.path(long)},
		{name: "path of 4090", path: f.padded("eicar", 4090)},
		{name: "path of 4000", path: f.padded("eicar", 4000)},
	}
}

func directoryTargets(f *fixture) []target {
	return []target{
		{name: "clean directory", path: f.path("dirclean")},
		{name: "directory with one", path: f.path("dirone")},
		{name: "directory with many", path: f.path("dirmany")},
		{name: "directory with two in one", path: f.path("dirtwo")},
		{name: "empty directory", path: f.path("dirempty")},
		{name: "nested", path: f.path("dirnested")},
		{name: "names in a directory", path: f.path("dirnames")},
		{name: "unreadable member and eicar", path: f.path("dirmembereicar")},
		{name: "unreadable member", path: f.path("dirmember"), deviation: "D9", want: "${F}/dirmember/unreadable: Access denied. ERROR"},
		{
			name: "only an unreadable member", path: f.path("dirmemberonly"), verbs: allButMultiscan,
			deviation: "D9", want: "${F}/dirmemberonly/unreadable: Access denied. ERROR",
		},
		{
			name: "unreadable directory", path: f.path("dirlocked"), verbs: allButMultiscan,
			deviation: "D9", want: "${F}/dirlocked: File path check failure: Permission denied. ERROR",
		},
		{
			name: "unreadable directory inside", path: f.path("dirinner"),
			deviation: "D9", want: "${F}/dirinner/locked: File path check failure: Permission denied. ERROR",
		},
		{
			name: "directory that can only be listed", path: f.path("dirlistonly"), verbs: allButMultiscan, deviation: "D9",
			want: "${F}/dirlistonly/eicar: File path check failure: Permission denied. ERROR\x00${F}/dirlistonly/sub: File path check failure: Permission denied. ERROR",
		},
		{
			name: "directory inside that can only be listed", path: f.path("dirlistinner"),
			deviation: "D9", want: "${F}/dirlistinner/only/eicar: File path check failure: Permission denied. ERROR",
		},
		{
			name: "directory that can only be searched", path: f.path("dirsearchonly"), verbs: allButMultiscan,
			deviation: "D9", want: "${F}/dirsearchonly: File path check failure: Permission denied. ERROR",
		},
		{name: "file in a directory that can only be searched", path: f.path("dirsearchonly/eicar")},
		{name: "wide directory", path: f.path("dirwide")},
		{name: "depth 14", path: f.path("depth14")},
		{name: "depth 15", path: f.path("depth15")},
		{name: "depth 16", path: f.path("depth16")},
		{name: "depth 17", path: f.path("depth17")},
	}
}

func linkTargets(f *fixture) []target {
	const failure = ": File path check failure: "
	return []target{
		{name: "link to a file", path: f.path("linkfile"), deviation: "D7", want: "${F}/linkfile: " + eicarName + " FOUND"},
		{name: "link to a clean file", path: f.path("linkclean")},
		{name: "link to a directory", path: f.path("linkdir"), deviation: "D7", want: "${F}/linkdir/sub/eicar: " + eicarName + " FOUND"},
		{name: "broken link", path: f.path("linkbroken"), deviation: "D7", want: "${F}/linkbroken" + failure + "No such file or directory. ERROR"},
		{name: "link to itself", path: f.path("linkloop"), deviation: "D7", want: "${F}/linkloop" + failure + "Too many levels of symbolic links. ERROR"},
		{name: "two links in a loop", path: f.path("linkloopa"), deviation: "D7", want: "${F}/linkloopa" + failure + "Too many levels of symbolic links. ERROR"},
		{name: "link to a link", path: f.path("linklink"), deviation: "D7", want: "${F}/linklink: " + eicarName + " FOUND"},
		{name: "link to an unreadable file", path: f.path("linkunreadable"), deviation: "D7", want: "${F}/linkunreadable: Access denied. ERROR"},
		{name: "link into a locked directory", path: f.path("linklocked"), deviation: "D7", want: "${F}/linklocked" + failure + "Permission denied. ERROR"},
		{name: "link to a directory with a slash", path: f.path("linkdir/"), deviation: "D7", want: "${F}/linkdir/sub/eicar: " + eicarName + " FOUND"},
		{name: "through a linked directory", path: f.path("linkdir/sub/eicar")},
		{name: "directory through a linked directory", path: f.path("linkdir/sub")},
		{name: "links inside", path: f.path("dirlinks")},
	}
}

func specialTargets(f *fixture) []target {
	return []target{
		{name: "fifo", path: f.path("fifo"), deviation: "D9", want: "${F}/fifo: Not supported file type ERROR"},
		{name: "socket", path: f.path("socket"), deviation: "D9", want: "${F}/socket: Not supported file type ERROR"},
		{name: "device", path: "/dev/null", deviation: "D9", want: "/dev/null: Not supported file type ERROR"},
		{name: "specials inside", path: f.path("dirspecials")},
		{name: "proc", path: "/proc/version", deviation: "D8", want: "/proc/version: Not supported file type ERROR"},
	}
}

// spellingTargets are ways to spell a path.
func spellingTargets(f *fixture) []target {
	return []target{
		{name: "trailing slash on a file", path: f.path("eicar/")},
		{name: "trailing slash on a directory", path: f.path("dirclean/")},
		{name: "trailing slashes", path: f.path("dirone///")},
		{name: "two slashes in front", path: "/" + f.path("eicar")},
		{name: "two slashes in front of a clean file", path: "/" + f.path("clean")},
		{name: "two slashes in front of a clean directory", path: "/" + f.path("dirclean")},
		{name: "two slashes in front of a directory", path: "/" + f.path("dirone")},
		{name: "three slashes in front of a missing file", path: "//" + f.path("missing")},
		{name: "two slashes inside", path: f.path("/eicar")},
		{name: "dot", path: f.path("./eicar")},
		{name: "dot dot", path: f.path("dirone/../eicar")},
		{name: "relative", path: f.path("eicar")[1:]},
		{name: "relative clean", path: f.path("clean")[1:]},
		{name: "relative directory", path: f.path("dirone")[1:]},
		{name: "relative with dots", path: "." + f.path("eicar")},
		{name: "up", path: "../nothing"},
		{name: "nothing", path: ""},
		{name: "blank", path: f.path("with blank")},
		{name: "OK in the name", path: f.path("x: OK")},
		{name: "FOUND in the name", path: f.path("x: Name FOUND")},
		{name: "newline", path: f.path("new\nline")},
		{name: "latin-1", path: f.path("latin-\xe4\xf6\xfc-\xff")},
		{name: "UTF-8", path: f.path("utf-8-ä€")},
		{name: "percent", path: f.path("%s%n%x")},
		{name: "trailing blank", path: f.path("trailing ")},
		{name: "leading blank", path: f.path(" leading")},
		{name: "tab", path: f.path("tab\there")},
		{name: "control bytes, missing", path: f.path("\x01\x1b[31m\x7f")},
		{name: "two blanks before it", path: " " + f.path("eicar")},
	}
}

// verbs are the commands that take a path.
var verbs = []string{"SCAN", "CONTSCAN", "MULTISCAN", "ALLMATCHSCAN"}

var allButMultiscan = []string{"SCAN", "CONTSCAN", "ALLMATCHSCAN"}

// pathDialogues combine all targets with all verbs.
func pathDialogues(f *fixture) []dialogue {
	var ds []dialogue
	for _, target := range targets(f) {
		for _, verb := range verbs {
			d := dialogue{
				name: "path/" + verb + "/" + target.name, norm: sortedNUL,
				steps: []step{send("z" + verb + " " + target.path + "\x00")},
			}
			if target.deviation != "" && (target.verbs == nil || slices.Contains(target.verbs, verb)) {
				d.deviation, d.want = target.deviation, []outcome{closed(target.want + "\x00")}
			}
			ds = append(ds, d)
		}
	}
	for _, target := range []string{"linkfile", "linkdir", "linkbroken", "linkloop", "linkloopa", "linklink", "linkunreadable", "linkdir/sub/eicar"} {
		for _, verb := range verbs {
			ds = append(ds, dialogue{
				name: "path/links are followed/" + verb + "/" + target, world: "links", norm: sortedNUL,
				steps: []step{send("z" + verb + " " + f.path(target) + "\x00")},
			})
		}
	}
	for _, sep := range []string{"X", "\t", "/", "\x01"} {
		ds = append(ds, dialogue{name: "path/separator " + quote(sep), steps: []step{send("zSCAN" + sep + f.path("eicar") + "\x00")}})
	}
	ds = append(ds,
		dialogue{name: "path/SCANNER", steps: []step{send("zSCANNER\x00")}},
		dialogue{
			name: "path/newline with n", steps: []step{send("nSCAN " + f.path("new\nline") + "\n")},
			tries: 40, deviation: "D2", want: []outcome{closed("${F}/new: File path check failure: No such file or directory. ERROR\n")},
		},
		dialogue{
			name: "path/NUL with n", steps: []step{send("nSCAN " + f.path("eicar") + "\x00/x\n")},
			tries: 40, deviation: "D2", want: []outcome{closed("${F}/eicar: " + eicarName + " FOUND\n")},
		},
		dialogue{
			name: "path/every match without a spool directory", world: "nopaths", steps: []step{send("zALLMATCHSCAN " + f.path("two") + "\x00")},
		},
		dialogue{
			name: "path/tab with n", steps: []step{send("nSCAN " + f.path("tab\there") + "\n")},
			deviation: "D26", want: []outcome{closed(`${F}/tab\x09here: ` + eicarName + " FOUND\n")},
		},
		dialogue{
			name: "path/missing with a carriage return", steps: []step{send("nSCAN " + f.path("no\rthing") + "\n")},
			deviation: "D26", want: []outcome{closed(`${F}/no\x0dthing: File path check failure: No such file or directory. ERROR` + "\n")},
		},
		dialogue{name: "path/order of CONTSCAN", steps: []step{send("zCONTSCAN " + f.path("dirwide") + "\x00")}},
		dialogue{name: "path/CONTSCAN, n", norm: sorted, steps: []step{send("nCONTSCAN " + f.path("dirmany") + "\n")}},
		dialogue{name: "path/MULTISCAN, bare", norm: sorted, steps: []step{send("MULTISCAN " + f.path("dirmany") + "\n")}},
	)
	for _, command := range []string{"nSCAN", "nCONTSCAN", "nMULTISCAN", "nALLMATCHSCAN", "SCAN", "CONTSCAN", "MULTISCAN"} {
		ds = append(ds, dialogue{
			name: "path/newline in a directory/" + command, steps: []step{send(command + " " + f.path("dirbroken") + "\n")},
			deviation: "D26", want: []outcome{closed(`${F}/dirbroken/a: OK\x0ab: ` + eicarName + " FOUND\n")},
		})
	}
	for _, verb := range verbs {
		ds = append(ds, dialogue{
			name: "path/newline in a directory/z" + verb, steps: []step{send("z" + verb + " " + f.path("dirbroken") + "\x00")},
		}, dialogue{
			name: "path/TCP/" + verb, tcp: true, steps: []step{send("z" + verb + " " + f.path("eicar") + "\x00")},
			deviation: "D21", want: []outcome{closed("COMMAND UNAVAILABLE\x00")},
		})
	}
	return ds
}

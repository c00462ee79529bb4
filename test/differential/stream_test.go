package differential

import (
	"fmt"
	"strings"

	"polyclam/test/clamdtest"
)

const (
	eicarName = clamdtest.EICARName
	oneName   = clamdtest.OneName
)

// streamDialogues are INSTREAM with every kind of object and chunking.
func streamDialogues(f *fixture) []dialogue {
	var ds []dialogue
	add := func(name string, steps ...step) *dialogue {
		ds = append(ds, dialogue{name: "stream/" + name, steps: steps})
		return &ds[len(ds)-1]
	}
	for _, c := range []struct{ name, content string }{
		{"clean", clean}, {"eicar", eicar}, {"two", two}, {"empty", ""}, {"one byte", "x"}, {"NULs", strings.Repeat("\x00", 5000)},
		{"zip", zipped(f.t, "eicar.com", eicar)}, {"zip with both", zipped(f.t, "a", clean, "b", eicar)}, {"marker at the end", strings.Repeat("word ", 40000) + clamdtest.One},
	} {
		add(c.name+"/z", send("zINSTREAM\x00"), send(stream(c.content)))
		add(c.name+"/n", send("nINSTREAM\n"), send(stream(c.content)))
		add(c.name+"/one packet", send("zINSTREAM\x00"+chunked(c.content, 1000)))
	}
	for _, n := range []int{1, 2, 3, 4, 5, 13, 67, 68} {
		add(fmt.Sprintf("chunks of %d", n), send("zINSTREAM\x00"), send(chunked(eicar, n)))
	}
	add("only the end marker", send("zINSTREAM\x00"+end))
	add("half-close behind the end marker", send("zINSTREAM\x00"+stream(eicar)), half)
	add("half-close, later, behind the end marker", send("zINSTREAM\x00"+stream(eicar)), consumed, half)
	add("half-close behind the command", send("zINSTREAM\x00"), half)
	add("half-close in the header", send("zINSTREAM\x00\x00\x00"), half)
	add("half-close behind the header", send("zINSTREAM\x00\x00\x00\x00\x09"), half)
	add("half-close in the data", send("zINSTREAM\x00\x00\x00\x00\x4aX5O"), half)
	add("half-close before the end marker", send("zINSTREAM\x00"+chunk(eicar)), half)
	add("half-close in the end marker", send("zINSTREAM\x00"+chunk(eicar)+"\x00\x00\x00"), half)
	add("not finished", send("zINSTREAM\x00"+chunk(eicar)+"\x00\x00\x00")).open = true
	add("not begun", send("zINSTREAM\x00")).open = true
	return ds
}

// limitDialogues are streams and commands at the limits of length.
func limitDialogues(f *fixture) []dialogue {
	var ds []dialogue
	add := func(world, name string, steps ...step) *dialogue {
		ds = append(ds, dialogue{name: "limit/" + name, world: world, steps: steps})
		return &ds[len(ds)-1]
	}
	sized := func(n int) string { return strings.Repeat("x", n) }
	in := "zINSTREAM\x00"
	add("limits", "exactly", send(in+stream(sized(1000))))
	add("limits", "exactly, infected", send(in+stream(sized(1000-len(clamdtest.One))+clamdtest.One)))
	add("limits", "one more", send(in+stream(sized(1001))))
	add("limits", "one more, n", send("nINSTREAM\n"+stream(sized(1001))))
	add("limits", "exactly in two chunks", send(in+chunk(sized(600))+stream(sized(400))))
	add("limits", "one more in two chunks", send(in+chunk(sized(600))+stream(sized(401))))
	add("limits", "one more in its own chunk", send(in+chunk(sized(1000))+stream("x")))
	add("limits", "exactly in chunks of one", send(in+chunked(sized(1000), 1)))
	add("limits", "header alone", send(in+"\x00\x00\x03\xe9"))
	add("limits", "infected and too large", send(in+stream(eicar+sized(1000))))
	add("limits", "much more", send(in), send(stream(sized(200000))))
	add("limits", "half-close behind the header", send(in+"\x00\x00\x03\xe9"), half)
	add("limits", "two packets", pieces(in, chunk(sized(1000)), "\x00\x00\x00\x01", "x"+end))
	for _, header := range []string{"\xff\xff\xff\xff", "\x80\x00\x00\x00", "\x7f\xff\xff\xff", "\x06\x40\x00\x01"} {
		add("", fmt.Sprintf("header %x", header), send(in+header))
		add("limits", fmt.Sprintf("small, header %x", header), send(in+header))
	}
	add("", "StreamMaxLength of the default", send(in+"\x06\x40\x00\x00x")).open = true
	add("unlimited", "no limit", send(in+chunked(sized(300000)+clamdtest.Two, 70000)))
	add("unlimited", "no limit, huge header", send(in+"\xff\xff\xff\xffx")).open = true
	add("limits", "other files are not limited", send("zSCAN "+f.path("large")+"\x00"))
	for _, n := range []int{4102, 4103, 4104, 4105, 4106, 9000} {
		for _, fr := range framings[:2] {
			add("", fmt.Sprintf("command of %d bytes/%s", n, fr.name), send(fr.prefix+sized(n-2)+fr.end))
		}
		add("", fmt.Sprintf("command of %d bytes/bare", n), send("SCAN /"+sized(n-7)+"\n"))
		add("", fmt.Sprintf("SCAN of %d bytes/z", n), send("zSCAN /"+sized(n-8)+"\x00"))
		unfinished := add("", fmt.Sprintf("unfinished command of %d bytes", n), send("z"+sized(n-1)))
		unfinished.open = n <= 4104
		if n == 4104 {
			unfinished.deviation, unfinished.want = "D19", []outcome{closed("")}
		}
	}
	return ds
}

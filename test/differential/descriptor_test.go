package differential

import (
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"polyclam/test/clamdtest"
)

// opened opens a file of the tree for reading.
func (f *fixture) opened(name string) opener { return f.openedWith(name, os.O_RDONLY) }

func (f *fixture) openedWith(name string, flags int) opener {
	return func() (*os.File, error) { return os.OpenFile(f.path(name), flags, 0) }
}

// offset opens a file and moves its offset.
func (f *fixture) offset(name string, n int64) opener {
	return func() (*os.File, error) {
		file, err := os.Open(f.path(name))
		if err == nil {
			_, err = file.Seek(n, io.SeekStart)
		}
		return file, err
	}
}

// memfd is an anonymous file with this content.
func memfd(content string) opener {
	return func() (*os.File, error) {
		fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC)
		if err != nil {
			return nil, err
		}
		file := os.NewFile(uintptr(fd), "memfd")
		_, err = file.WriteString(content)
		return file, err
	}
}

// deleted is a file without a name.
func (f *fixture) deleted(content string) opener {
	return func() (*os.File, error) {
		file, err := os.CreateTemp(f.dir, "deleted")
		if err != nil {
			return nil, err
		}
		if err := os.Remove(file.Name()); err != nil {
			return nil, err
		}
		_, err = file.WriteString(content)
		return file, err
	}
}

func pipeEnd() (*os.File, error) {
	r, w, err := os.Pipe()
	if err == nil {
		w.Close()
	}
	return r, err
}

func socketEnd() (*os.File, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	syscall.Close(fds[1])
	return os.NewFile(uintptr(fds[0]), "socket"), nil
}

func device() (*os.File, error) { return os.Open("/dev/null") }

// protocolError is clamd's text for a descriptor with any command but FILDES.
const protocolError = "PROTOCOL ERROR: ancillary data sent without FILDES. ERROR"

// descriptorDialogues are FILDES with every kind of descriptor, arriving in every
// possible way.
func descriptorDialogues(f *fixture) []dialogue {
	var ds []dialogue
	add := func(name string, steps ...step) *dialogue {
		ds = append(ds, dialogue{name: "fildes/" + name, steps: steps, norm: fdNumber})
		return &ds[len(ds)-1]
	}
	kinds := []struct {
		name string
		open opener
	}{
		{"clean", f.opened("clean")}, {"eicar", f.opened("eicar")}, {"two", f.opened("two")}, {"empty", f.opened("empty")}, {"zip", f.opened("both.zip")},
		{"directory", f.opened("dirone")}, {"pipe", pipeEnd}, {"device", device}, {"socket", socketEnd},
		{"offset moved", f.offset("eicar", 30)}, {"offset at the end", f.offset("eicar", 68)}, {"read-write", f.openedWith("eicar", os.O_RDWR)},
		{"memfd", memfd("x" + clamdtest.One)}, {"deleted", f.deleted(clamdtest.Two)}, {"memfd, empty", memfd("")},
	}
	for _, k := range kinds {
		add(k.name, sendFiles("zFILDES\x00\x00", k.open))
		add(k.name+", later", send("nFILDES\n"), consumed, sendFiles("x", k.open))
	}
	proc := add("proc", sendFiles("zFILDES\x00\x00", func() (*os.File, error) { return os.Open("/proc/version") }))
	proc.deviation, proc.want = "D8", []outcome{closed("fd[N]: Not a regular file ERROR\x00")}
	if clamdtest.Unprivileged() {
		add("opened by a mightier user", sendFiles("zFILDES\x00\x00", f.opened("unreadable")))
	}
	for _, k := range []struct {
		name  string
		flags int
	}{{"write-only", os.O_WRONLY}, {"path only", unix.O_PATH}} {
		d := add(k.name, sendFiles("zFILDES\x00\x00", f.openedWith("eicar", k.flags)))
		d.deviation, d.want = "D6", []outcome{closed("fd[N]: Can't read file ERROR\x00")}
	}
	for _, fr := range framings {
		add("command, byte and descriptor/"+fr.name, sendFiles(fr.prefix+"FILDES"+fr.end+"\x00", f.opened("eicar")))
		only := add("descriptor with the command only/"+fr.name, sendFiles(fr.prefix+"FILDES"+fr.end, f.opened("eicar")))
		only.deviation, only.want = "D2", []outcome{closed(protocolError + fr.end)}
		add("byte without descriptor/"+fr.name, send(fr.prefix+"FILDES"+fr.end+"\x00"))
		add("byte without descriptor, later/"+fr.name, pieces(fr.prefix+"FILDES"+fr.end, "\x00"))
		add("no byte/"+fr.name, send(fr.prefix+"FILDES"+fr.end)).open = true
		add("half-close without byte/"+fr.name, send(fr.prefix+"FILDES"+fr.end), half)
		add("half-close behind it/"+fr.name, sendFiles(fr.prefix+"FILDES"+fr.end+"\x00", f.opened("eicar")), half)
	}
	differ := func(id, want, name string, steps ...step) {
		d := add(name, steps...)
		d.deviation, d.want, d.tries = id, []outcome{closed(want)}, 40
	}
	found := "fd[N]: " + eicarName + " FOUND"
	bare := add("bare without newline", sendFiles("FILDES", f.opened("eicar")))
	bare.open, bare.deviation, bare.want = true, "D24", []outcome{open("")}
	add("bare without newline, later", send("FILDES"), consumed, sendFiles("x", f.opened("eicar")))
	differ("D18", protocolError+"\n", "crlf", sendFiles("FILDES\r\n", f.opened("eicar")))
	differ("D18", found+"\n", "crlf, n", send("nFILDES\r\n"), consumed, sendFiles("x", f.opened("eicar")))
	differ("D2", found+"\x00", "two dummy bytes", sendFiles("zFILDES\x00xx", f.opened("eicar")))
	add("two descriptors", sendFiles("zFILDES\x00\x00", f.opened("eicar"), f.opened("clean")))
	add("descriptor with PING", sendFiles("zPING\x00", f.opened("eicar")))
	differ("D2", "${F}/eicar: "+eicarName+" FOUND\x00", "descriptor with SCAN", sendFiles("zSCAN "+f.path("eicar")+"\x00", f.opened("clean")))
	add("descriptor with INSTREAM", sendFiles("zINSTREAM\x00"+stream(eicar), f.opened("clean")))
	add("descriptor with nothing to say", sendFiles("x", f.opened("eicar")))
	differ("D22", "stream: "+eicarName+" FOUND\x00", "descriptor inside a stream",
		send("zINSTREAM\x00\x00\x00\x00\x44"), consumed, sendFiles(eicar+end, f.opened("clean")))
	for name, steps := range map[string][]step{"over TCP": {send("zFILDES\x00\x00")}, "over TCP, later": {send("zFILDES\x00"), consumed, send("x")}} {
		add(name, steps...).tcp = true
	}
	return ds
}

package clamdtest

import (
	"os"
	"path/filepath"
	"testing"

	"polyclam/backends/testfile"
)

// TestFill checks what clamd says when its TemporaryDirectory is full: mails are ok,
// whatever is in them, and it remembers that until it loads its signatures again. The
// health checks of package engine rely on these facts.
func TestFill(t *testing.T) {
	d := Start(t, Options{TempSize: "256k"})
	dir := Dir(t, "")
	scan := func(data []byte) string {
		t.Helper()
		f := filepath.Join(dir, "f")
		write(t, f, string(data), 0o644)
		reply := ask(t, "unix", d.Socket, "zSCAN "+f+"\x00")
		return reply[len(f+": ") : len(reply)-1]
	}
	want := func(what string, data []byte, want string) {
		t.Helper()
		if got := scan(data); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	const found = EICARName + " FOUND"
	mail := func() []byte { return testfile.MailedEICAR(testfile.NewNonce()) }
	want("mail", mail(), found)
	want("archive", testfile.PackedEICAR(), found)
	want("deep archive", testfile.DeepThenEICAR(), found)
	d.Fill()
	same := mail()
	want("plain, full", testfile.EICAR(), found)
	want("mail, full", same, "OK")
	want("archive, full", testfile.PackedEICAR(), "Can't write to file ERROR")
	want("deep archive, full", testfile.DeepThenEICAR(), "Can't write to file ERROR")
	stream := "zINSTREAM\x00\x00\x00\x00\x01x\x00\x00\x00\x00"
	if got := ask(t, "unix", d.Socket, stream); got != "Error writing to temporary file ERROR\x00" && got != "Error writing to temporary file ERROR\x00stream: OK\x00" {
		t.Errorf("stream, full: %q", got)
	}
	d.Empty()
	want("mail, emptied", mail(), found)
	want("archive, emptied", testfile.PackedEICAR(), found)
	want("the same mail, emptied", same, "OK")
	if _, err := os.Stat(filepath.Join(d.Dir, "tmp", "filler")); err == nil {
		t.Error("the tmpfs is not clamd's alone")
	}
}

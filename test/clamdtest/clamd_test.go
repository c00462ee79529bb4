package clamdtest

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ask sends one command and returns everything up to the end.
func ask(t *testing.T, network, address, command string) string {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(hang))
	if _, err := io.WriteString(c, command); err != nil {
		t.Fatal(err)
	}
	reply, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(reply)
}

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func TestStart(t *testing.T) {
	d := Start(t, Options{TCP: true, Conf: []string{"MaxThreads 3"}})
	dir := Dir(t, "")
	both := filepath.Join(dir, "both")
	write(t, both, "x "+One+" and "+Two, 0o644)
	eicar := filepath.Join(dir, "eicar")
	write(t, eicar, EICAR(), 0o644)

	for _, c := range []struct{ network, address, command, want string }{
		{"unix", d.Socket, "zPING\x00", "PONG\x00"},
		{"tcp", d.TCP, "nPING\n", "PONG\n"},
		{"unix", d.Socket, "zSCAN " + eicar + "\x00", eicar + ": " + EICARName + " FOUND\x00"},
	} {
		if got := ask(t, c.network, c.address, c.command); got != c.want {
			t.Errorf("%s %q = %q, want %q", c.network, c.command, got, c.want)
		}
	}
	// clamd repeats matches that it finds again in the normalised text.
	got := ask(t, "unix", d.Socket, "nALLMATCHSCAN "+both+"\n")
	for _, want := range []string{both + ": " + OneName + " FOUND\n", both + ": " + TwoName + " FOUND\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("ALLMATCHSCAN = %q, want %q in it", got, want)
		}
	}
	if got := ask(t, "unix", d.Socket, "nSTATS\n"); !strings.Contains(got, "max 3 ") {
		t.Errorf("STATS = %q, want MaxThreads of Options.Conf", got)
	}
}

func TestDaily(t *testing.T) {
	d := Start(t, Options{Daily: true})
	want := "/27123/" + time.Unix(DailyTime, 0).Format("Mon Jan _2 15:04:05 2006") + "\n"
	if got := ask(t, "unix", d.Socket, "nVERSION\n"); !strings.HasSuffix(got, want) {
		t.Errorf("VERSION = %q, want it to end in %q", got, want)
	}
}

func TestNames(t *testing.T) {
	d := Start(t, Options{})
	file := filepath.Join(Dir(t, ""), "f")
	for content, name := range map[string]string{EICAR(): EICARName, One: OneName, Two: TwoName, Odd: OddName, Long: LongName} {
		write(t, file, content, 0o644)
		if got, want := ask(t, "unix", d.Socket, "zSCAN "+file+"\x00"), file+": "+name+" FOUND\x00"; got != want {
			t.Errorf("SCAN = %q, want %q", got, want)
		}
	}
}

func TestStartUnreadable(t *testing.T) {
	d := Start(t, Options{})
	if !Unprivileged() && os.Geteuid() == 0 {
		t.Fatal("root reads everything")
	}
	file := filepath.Join(Dir(t, ""), "secret")
	write(t, file, EICAR(), 0o000)
	if got, want := ask(t, "unix", d.Socket, "nSCAN "+file+"\n"), file+": Access denied. ERROR\n"; got != want {
		t.Errorf("SCAN = %q, want %q", got, want)
	}
}

func TestKillAndRestart(t *testing.T) {
	d := Start(t, Options{TCP: true})
	pid := d.Pid
	d.Kill()
	d.Kill()
	if !d.Ended() {
		t.Fatal("clamd still runs")
	}
	if _, err := net.Dial("unix", d.Socket); err == nil {
		t.Fatal("the socket of a killed clamd answers")
	}
	d.Restart()
	if d.Pid == pid {
		t.Errorf("pid %d again", pid)
	}
	if got := ask(t, "tcp", d.TCP, "zPING\x00"); got != "PONG\x00" {
		t.Errorf("PING after the restart = %q", got)
	}
}

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"polyclam/backends/command/commandfake"
	"polyclam/backends/sssp/ssspfake"
	"polyclam/protocol"
	"polyclam/test/cicaptest"
	"polyclam/test/clamdtest"
)

// sweepTable is Sophos Sweep, or a fake that behaves like it, with its preset.
func sweepTable(t *testing.T) string {
	return fmt.Sprintf("[[engine]]\nname = \"sophos\"\nbackend = \"command\"\npreset = \"sophos-sweep\"\nprogram = %q\n", commandfake.Sweep(t))
}

// ssspTable is Sophos's savdid, or a fake that behaves like it.
func ssspTable(t *testing.T) string {
	fake := ssspfake.Start(t, ssspfake.Options{Network: "tcp"})
	return fmt.Sprintf("[[engine]]\nname = \"sophos\"\nbackend = \"sssp\"\naddress = %q\n", fake.Address())
}

// sophosConfig has a clamd and a Sophos engine.
func sophosConfig(clamd, sophos, policy string) string {
	return fmt.Sprintf(`
[[listener]]
address = "unix:${DIR}/p.sock"
[[engine]]
name = "clamav"
backend = "clamd"
address = "unix:%s"
%s
[spool]
directory = "${DIR}/tmp"
%s`, clamd, sophos, policy)
}

// buildTool builds the operator's tool.
func buildTool(t *testing.T) string {
	t.Helper()
	tool := filepath.Join(t.TempDir(), "polyclam")
	if out, err := exec.Command("go", "build", "-o", tool, "polyclam/cmd/polyclam").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return tool
}

// encryptedZip makes foo.zip with the real program.
func encryptedZip(t *testing.T) string {
	t.Helper()
	zip := clamdtest.RequireProgram(t, "zip")
	dir := clamdtest.Dir(t, "")
	if err := os.WriteFile(filepath.Join(dir, "foo.txt"), []byte("nothing to see"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(zip, "-q", "-P", "secret", "foo.zip", "foo.txt")
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(dir, "foo.zip")
}

// TestRequestOf2003 scans a password-protected ZIP. Sophos recognises it, by exit
// status 2 or by FAIL 0212, and a clamd says OK. Nothing failed, and no retry helps:
// code 2, category encrypted, action ok, or quarantine for sites that want it.
func TestRequestOf2003(t *testing.T) {
	clamd := clamdtest.Start(t, clamdtest.Options{})
	clamdscan := clamdtest.RequireProgram(t, "clamdscan")
	tool, foo := buildTool(t), encryptedZip(t)
	for name, sophos := range map[string]struct {
		table string
		code  string
	}{"sweep": {sweepTable(t), "2"}, "sssp": {ssspTable(t), "530"}} {
		t.Run(name, func(t *testing.T) {
			p := clamdtest.StartPolyclam(t, sophosConfig(clamd.Socket, sophos.table, ""), clamdtest.Options{})
			out, err := exec.Command(tool, "--address", "unix:"+p.Socket, "scan", foo).CombinedOutput()
			want := []string{"encrypted", "ok", sophos.code, "sophos"}
			if line := lineOf(string(out), "sophos"); !containsAll(strings.Fields(line), want) {
				t.Errorf("polyclam scan: %v\n%s", err, out)
			}
			t.Logf("table: %s: polyclam scan foo.zip: %s", name, strings.Join(strings.Fields(lineOf(string(out), "sophos")), " "))
			got, status := clamdscanOf(t, clamdscan, p.Socket, foo)
			t.Logf("table: %s: clamdscan: %s, exit %d", name, got, status)
			if got != foo+": OK" || status != 0 {
				t.Errorf("clamdscan: %q, exit %d", got, status)
			}
			strict := clamdtest.StartPolyclam(t, sophosConfig(clamd.Socket, sophos.table, "[policy.actions]\nencrypted = \"quarantine\"\n"), clamdtest.Options{})
			got, status = clamdscanOf(t, clamdscan, strict.Socket, foo)
			t.Logf("table: %s: clamdscan, encrypted = quarantine: %s, exit %d", name, got, status)
			if got != foo+": Heuristics.Encrypted.Zip FOUND" || status != 1 {
				t.Errorf("clamdscan with quarantine: %q, exit %d", got, status)
			}
		})
	}
}

// clamdscanOf is the line and the exit status of clamdscan --stream.
func clamdscanOf(t *testing.T, clamdscan, socket, file string) (string, int) {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "c.conf")
	if err := os.WriteFile(conf, []byte("LocalSocket "+socket+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(clamdscan, "--config-file="+conf, "--stream", "--no-summary", file)
	out, _ := c.Output()
	return strings.TrimSpace(string(out)), c.ProcessState.ExitCode()
}

func lineOf(text, word string) string {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 0 && f[0] == word {
			return line
		}
	}
	return ""
}

func containsAll(have, want []string) bool {
	seen := map[string]bool{}
	for _, h := range have {
		seen[h] = true
	}
	for _, w := range want {
		if !seen[w] {
			return false
		}
	}
	return true
}

// TestFourEngines scans one stream with four engines of four kinds: it takes about as
// long as the slowest.
func TestFourEngines(t *testing.T) {
	clamd := clamdtest.Start(t, clamdtest.Options{})
	icap := cicaptest.Start(t, clamd.Socket, cicaptest.Options{})
	slow := commandfake.Script(t, "#!/bin/sh\nsleep 0.3\nexit 0\n")
	p := clamdtest.StartPolyclam(t, sophosConfig(clamd.Socket, ssspTable(t), fmt.Sprintf(`
[[engine]]
name = "icap"
backend = "icap"
address = %q
service = %q
[[engine]]
name = "command"
backend = "command"
canary = false
argv = [%q, "{path}"]
exit = { "0" = "?ok" }
`, icap.Address, cicaptest.AVScan, slow)), clamdtest.Options{})
	c := protocol.Client{Network: "unix", Address: p.Socket}
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	content := filler(100 << 10)
	if _, err := c.XInstream(ctx, strings.NewReader(content)); err != nil {
		t.Fatal(err) // every engine has scanned it exactly once
	}
	start := time.Now()
	reply, err := c.XInstream(ctx, strings.NewReader(content+"again"))
	elapsed := time.Since(start)
	if err != nil || !reply.OK() {
		t.Fatalf("%v, %v", reply, err)
	}
	engines, slowest := map[string]bool{}, 0.0
	for _, r := range reply.Records {
		if r.Word != "ENGINE" {
			continue
		}
		if r.Get("category") != "ok" {
			t.Errorf("%s", r)
		}
		engines[r.Get("engine")] = true
		s, err := strconv.ParseFloat(r.Get("elapsed"), 64)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("measured: %s took %.1f ms", r.Get("engine"), s*1000)
		slowest = max(slowest, s)
	}
	if len(engines) != 4 {
		t.Errorf("engines: %v", engines)
	}
	t.Logf("measured: the slowest of four took %.1f ms, the client waited %.1f ms", slowest*1000, elapsed.Seconds()*1000)
}

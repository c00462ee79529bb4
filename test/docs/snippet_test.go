package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"polyclam/test/testkit"
)

// static are the text blocks that no program prints.
var static = map[string]bool{"status-line": true, "record-grammar": true, "timeouts": true, "readiness": true, "haproxy-agent": true, "haproxy-tls": true, "xtag": true, "redis-acl": true}

// TestBlocks wants a known form of every block.
func TestBlocks(t *testing.T) {
	for _, p := range pages(t) {
		if p.isRecipe() {
			continue
		}
		for _, b := range p.blocks(t) {
			named := false
			switch b.form {
			case "toml", "sh", "ini", "go":
				continue
			case "text", "json":
				_, named = generated[b.name]
			}
			if !named && !static[b.name] {
				t.Errorf("%s:%d: no test knows the block %q", p.name, b.line, strings.TrimSpace(b.form+" "+b.name))
			}
		}
	}
}

// A part of a configuration is checked together with what it lacks.
const (
	aListener = "\n[[listener]]\naddress = \"unix:/run/polyclam/clamd.sock\"\n"
	anEngine  = "\n[[engine]]\nname = \"clamav\"\nbackend = \"clamd\"\naddress = \"unix:/run/clamav/clamd.ctl\"\n"
)

// TestConfigurations loads every configuration on the pages. The certificates of engines are
// read even then, so they are real.
func TestConfigurations(t *testing.T) {
	authority := testkit.NewAuthority(t)
	issued := authority.Issue("mail.example.org")
	certificates := strings.NewReplacer(`"/etc/polyclam/tls/ca.pem"`, strconv.Quote(authority.File),
		`"/etc/polyclam/tls/mail.pem"`, strconv.Quote(issued.Certificate), `"/etc/polyclam/tls/mail.key"`, strconv.Quote(issued.Key))
	count := 0
	for _, p := range pages(t) {
		if p.isRecipe() {
			continue
		}
		for _, b := range p.blocks(t) {
			if b.form != "toml" || b.name == "acme" {
				continue
			}
			count++
			text := b.text
			if !strings.Contains(text, "[[listener]]") {
				text += aListener
			}
			if !strings.Contains(text, "[[engine]]") {
				text += anEngine
			}
			if out, ok := check(t, filepath.Join(bin(t), "polyclamd"), certificates.Replace(text)); !ok {
				t.Errorf("%s:%d: polyclamd --check-file:\n%s", p.name, b.line, out)
			}
		}
	}
	if count < 15 {
		t.Errorf("loaded %d configurations only", count)
	}
}

// TestTenLines wants the configuration in the README to be as short as it says.
func TestTenLines(t *testing.T) {
	for _, b := range (pageOf(t, "README.md")).blocks(t) {
		if b.form == "toml" {
			if n := strings.Count(b.text, "\n"); n != 10 {
				t.Errorf("README.md:%d: the ten-line configuration has %d lines", b.line, n)
			}
			return
		}
	}
	t.Error("README.md has no configuration")
}

func pageOf(t testing.TB, name string) page {
	t.Helper()
	for _, p := range pages(t) {
		if p.name == name {
			return p
		}
	}
	t.Fatalf("no page %s", name)
	return page{}
}

var (
	ours     = regexp.MustCompile(`(?:^|[ /])(polyclamd?)((?: +[^|;&#]*)?)`)
	option   = regexp.MustCompile(`(?:^| )(--?[a-z][a-z-]*)`)
	inMake   = regexp.MustCompile(`^make ([a-z-]+)`)
	comments = regexp.MustCompile(` +#.*$`)
)

// TestCommands parses every command, and looks up the flags and the targets of make.
func TestCommands(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, p := range pages(t) {
		if p.isRecipe() {
			continue
		}
		for _, b := range p.blocks(t) {
			if b.form != "sh" {
				continue
			}
			if out, err := exec.Command("sh", "-n", "-c", b.text).CombinedOutput(); err != nil {
				t.Errorf("%s:%d: %v\n%s", p.name, b.line, err, out)
			}
			for line := range strings.Lines(b.text) {
				line = comments.ReplaceAllString(strings.TrimSuffix(line, "\n"), "")
				if m := inMake.FindStringSubmatch(line); m != nil && !regexp.MustCompile(`(?m)^`+m[1]+`:`).Match(makefile) {
					t.Errorf("%s:%d: the Makefile has no target %s", p.name, b.line, m[1])
				}
				if strings.HasPrefix(line, "install ") || strings.HasPrefix(line, "useradd ") || strings.HasPrefix(line, "systemctl ") {
					continue
				}
				for _, m := range ours.FindAllStringSubmatch(line, -1) {
					count++
					checkFlags(t, p.name, b.line, m[1], m[2])
				}
			}
		}
	}
	if count < 10 {
		t.Errorf("checked %d commands only", count)
	}
}

// checkFlags compares the flags of a command line with what --help lists.
func checkFlags(t *testing.T, name string, line int, program, rest string) {
	t.Helper()
	help := run(t, program, "--help")
	if program == "polyclam" {
		words := strings.Fields(rest)
		command := ""
		for i, w := range words {
			if !strings.HasPrefix(w, "-") && (i == 0 || !strings.HasPrefix(words[i-1], "--")) {
				command = w
				break
			}
		}
		if !regexp.MustCompile(`(?m)^  ` + regexp.QuoteMeta(command) + ` `).MatchString(help) {
			t.Errorf("%s:%d: polyclam has no command %q", name, line, command)
			return
		}
		help += run(t, program, command, "--help")
	}
	for _, m := range option.FindAllStringSubmatch(rest, -1) {
		if !regexp.MustCompile(regexp.QuoteMeta(m[1]) + `\b`).MatchString(help) {
			t.Errorf("%s:%d: %s does not know the flag %s", name, line, program, m[1])
		}
	}
}

// TestUnits wants each key of a drop-in to be one that the unit has too.
func TestUnits(t *testing.T) {
	unit, err := os.ReadFile(filepath.Join(root, "contrib/systemd/polyclamd.service"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages(t) {
		if p.isRecipe() {
			continue
		}
		for _, b := range p.blocks(t) {
			if b.form != "ini" || b.name == "stunnel" {
				continue
			}
			for text := range strings.Lines(b.text) {
				key, _, ok := strings.Cut(text, "=")
				if ok && !strings.HasPrefix(text, "#") && !regexp.MustCompile(`(?m)^#?`+key+`=`).Match(unit) {
					t.Errorf("%s:%d: the unit has no %s=", p.name, b.line, key)
				}
			}
		}
	}
}

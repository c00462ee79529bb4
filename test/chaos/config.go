package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The configuration of polyclamd, which the checker also relies on.
const (
	answerWithin   = 6 * time.Second
	engineTimeout  = 2 * time.Second
	canaryInterval = time.Second
	readTimeout    = 8 * time.Second
	spoolWait      = 3 * time.Second
	maxStream      = 4 << 20
	maxScans       = 4
	maxConns       = 300
)

// cacheTTLs are the engines that have a cache_ttl in a run about the cache. clamd has the
// default one. In other runs nothing is kept.
var cacheTTLs = map[string]string{"sophos": "10m", "gateway": "8s", "sweep": "10m"}

// cacheTTL is how long results of an engine may be used.
func (o options) cacheTTL(engine, kind string) time.Duration {
	switch {
	case !o.cached:
		return 0
	case kind == "clamd":
		return 10 * time.Minute
	}
	d, _ := time.ParseDuration(cacheTTLs[engine])
	return d
}

// The bits of a policy: what a reload changes.
const (
	policyPass   = 1 << iota // encrypted is ok on every listener, else not on TCP
	policyNarrow             // clam has only one node
	policies
)

// isEncryptedFound reports whether a listener answers FOUND for encrypted objects.
func isEncryptedFound(policy int, listener string) bool {
	return listener == "tcp" && policy&policyPass == 0
}

// isUnused reports whether a node is missing from the configuration.
func isUnused(policy int, node string) bool { return node == "clam/1" && policy&policyNarrow != 0 }

// config is the text of a configuration.
func (w *world) config(policy int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[[listener]]\naddress = \"unix:%s\"\nmode = \"0600\"\nanswer_within = \"%v\"\nreload_command = true\n\n", w.socket, answerWithin)
	fmt.Fprintf(&b, "[[listener]]\naddress = \"tcp:%s\"\nanswer_within = \"%v\"\n", w.tcp, answerWithin)
	if isEncryptedFound(policy, "tcp") {
		b.WriteString("[listener.actions]\nencrypted = \"quarantine\"\n")
	}
	for _, k := range engineKinds {
		fmt.Fprintf(&b, "\n[[engine]]\nname = %q\nrequired = %t\ntimeout = \"%v\"\nmax_scans = %d\ncanary_interval = \"%v\"\nsize_check = false\n",
			k.engine, k.required, engineTimeout, maxScans, canaryInterval)
		if w.o.cached && cacheTTLs[k.engine] != "" {
			fmt.Fprintf(&b, "cache_ttl = %q\n", cacheTTLs[k.engine])
		}
		switch k.kind {
		case "scanner":
			n := w.node(k.engine + "/0")
			fmt.Fprintf(&b, "backend = \"command\"\nargv = [%q, \"scanner\", %q, %q, %q, \"{path}\"]\n", w.engine, n.name, n.file(".mode"), n.file(".log"))
			b.WriteString(scannerTable)
			continue
		default:
			fmt.Fprintf(&b, "backend = %q\nconnect_timeout = \"1s\"\n", k.kind)
		}
		var addresses []string
		for i := range k.nodes {
			if n := w.node(fmt.Sprintf("%s/%d", k.engine, i)); !isUnused(policy, n.name) {
				addresses = append(addresses, fmt.Sprintf("%q", n.address))
			}
		}
		fmt.Fprintf(&b, "addresses = [%s]\n", strings.Join(addresses, ", "))
	}
	fmt.Fprintf(&b, "\n[limits]\nstream = %d\nread_timeout = \"%v\"\ncommand_read_timeout = \"%v\"\nwrite_timeout = \"3s\"\nspool_memory = \"64KiB\"\nspool_total = \"64MiB\"\nconnections = %d\n",
		maxStream, readTimeout, readTimeout, maxConns)
	if !w.o.cached {
		b.WriteString("\n[cache]\nmemory = \"0\"\n")
	}
	if w.store != nil {
		fmt.Fprintf(&b, "\n[cache]\nredis = \"unix:%s\"\nkey_file = %q\nbudget = \"100ms\"\n", w.store.socket, w.store.keyFile)
	}
	fmt.Fprintf(&b, "\n[spool]\ndirectory = %q\nwait = \"%v\"\n\n[log]\nformat = \"json\"\nsha256 = \"always\"\n", w.spool, spoolWait)
	return b.String()
}

const scannerTable = `exit = { "0" = "?ok", "1" = "virus", "2" = "?swerr" }
virus_regex = '^{path}: infected: (.*)$'
encrypted_regex = '^{path}: password protected$'
ignore_regex = 'Infected files: [0-9]+'
ok_regex = '{path}: clean\nInfected files: 0'
`

// badFiles are changes that make a configuration invalid.
var badFiles = []func(string) string{
	func(text string) string { return text + "\n[[[\n" },
	func(text string) string { return strings.Replace(text, "answer_within", "answer_withim", 1) },
	func(text string) string {
		return strings.Replace(text, "backend = \"command\"", "backend = \"comand\"", 1)
	},
	func(text string) string {
		return text + "\n[[listener]]\naddress = \"unix:/nonexistent/directory/p.sock\"\n"
	},
	func(text string) string { return text[:len(text)*2/3] + "\"" },
}

// writeConfig replaces the file.
func (w *world) writeConfig(text string) error {
	name := filepath.Join(w.dir, "config.toml")
	if err := os.WriteFile(name+".new", []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

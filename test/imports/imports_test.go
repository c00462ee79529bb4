// Package imports checks which room of polyclam imports which. Imports run one way:
//
//	cmd -> proxy -> backends, protocol
package imports

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// rules say which other packages of polyclam, and which libraries, the packages below a
// folder may import. The longest matching folder counts. Every other path without a dot
// in its first element is the standard library. A folder that ends in /* means
// every folder in it without a rule.
var rules = map[string][]string{
	"backends":                                      {},
	"backends/*":                                    {"backends", "backends/internal/*"},
	"backends/backendtest":                          {"backends", "backends/testfile", "test/testkit"},
	"backends/clamd":                                {"backends", "backends/internal/clamdclient", "backends/internal/engineconn", "backends/internal/file", "backends/internal/idle", "backends/internal/tracing", "protocol"},
	"backends/command":                              {"backends", "backends/internal/ended", "backends/internal/tracing"},
	"backends/command/commandfake":                  {"test/testkit"},
	"backends/inspect":                              {"backends", "backends/inspect/*", "backends/internal/ended", "backends/testfile"},
	"backends/inspect/ace":                          {"backends/inspect/internal/archive", "backends/inspect/internal/walk"},
	"backends/inspect/alzip":                        {"backends/inspect/internal/archive", "backends/inspect/internal/walk"},
	"backends/inspect/ar":                           {"backends/inspect/internal/archive"},
	"backends/inspect/arj":                          {"backends/inspect/internal/archive", "backends/inspect/internal/walk"},
	"backends/inspect/bzip2":                        {"backends/inspect/internal/archive"},
	"backends/inspect/cab":                          {"backends/inspect/internal/archive", "backends/inspect/internal/walk"},
	"backends/inspect/cpio":                         {"backends/inspect/internal/archive"},
	"backends/inspect/documents":                    {"backends/inspect/internal/walk"},
	"backends/inspect/gzip":                         {"backends/inspect/internal/archive"},
	"backends/inspect/internal/build":               {"github.com/klauspost/compress/zstd", "github.com/ulikunitz/xz", "github.com/ulikunitz/xz/lzma"},
	"backends/inspect/internal/filter":              {},
	"backends/inspect/internal/inflate64":           {},
	"backends/inspect/internal/lzma":                {"github.com/ulikunitz/xz/lzma"},
	"backends/inspect/internal/transfer":            {},
	"backends/inspect/internal/walk":                {"backends/internal/ended"},
	"backends/inspect/magic":                        {"backends/inspect/internal/walk"},
	"backends/inspect/mail":                         {"backends/inspect/internal/transfer", "backends/inspect/internal/walk", "backends/inspect/pgp", "backends/inspect/smime"},
	"backends/inspect/office":                       {"backends/inspect/internal/walk"},
	"backends/inspect/pdf":                          {"backends/inspect/internal/walk"},
	"backends/inspect/pgp":                          {"backends/inspect/internal/walk"},
	"backends/inspect/rar":                          {"backends/inspect/internal/archive", "backends/inspect/internal/walk", "github.com/nwaples/rardecode/v2"},
	"backends/inspect/seven":                        {"backends/inspect/internal/filter", "backends/inspect/internal/inflate64", "backends/inspect/internal/lzma", "backends/inspect/internal/walk", "github.com/stangelandcl/ppmd"},
	"backends/inspect/smime":                        {"backends/inspect/internal/walk"},
	"backends/inspect/tar":                          {"backends/inspect/internal/archive"},
	"backends/inspect/tnef":                         {"backends/inspect/internal/walk"},
	"backends/inspect/zip":                          {"backends/inspect/documents", "backends/inspect/internal/inflate64", "backends/inspect/internal/lzma", "backends/inspect/internal/walk"},
	"backends/internal/clamdclient":                 {"backends", "backends/internal/ended", "backends/internal/engineconn", "backends/internal/tracing", "protocol"},
	"backends/internal/clamdclient/clamdfake":       {"backends", "backends/backendtest", "backends/internal/wire/wiretest", "backends/testfile", "test/testkit"},
	"backends/internal/engineconn":                  {"backends", "backends/access", "backends/internal/ended", "backends/internal/file", "backends/internal/idle", "backends/internal/tracing"},
	"backends/access":                               {},
	"backends/internal/ended":                       {"backends"},
	"backends/internal/tracing":                     {"backends"},
	"proxy/printable":                               {},
	"backends/internal/file":                        {"backends"},
	"backends/internal/idle":                        {"backends"},
	"backends/internal/wire":                        {"backends", "backends/internal/engineconn"},
	"backends/polyclam":                             {"backends", "backends/internal/clamdclient", "backends/internal/engineconn", "protocol", "protocol/extended"},
	"backends/registry":                             {"backends", "backends/*"},
	"backends/sssp/ssspfake":                        {"backends", "backends/backendtest", "backends/testfile", "test/testkit"},
	"cmd":                                           {"*"},
	"protocol":                                      {"protocol/extended", "protocol/internal/escape", "protocol/nowait"},
	"protocol/dataport":                             {"protocol"},
	"protocol/nowait":                               {},
	"protocol/extended":                             {"protocol/internal/escape"},
	"protocol/internal/escape":                      {},
	"proxy":                                         {"backends", "backends/access", "github.com/rs/xid", "github.com/rs/zerolog", "golang.org/x/sys/unix", "protocol", "protocol/dataport", "protocol/extended", "proxy/allow", "proxy/balancer", "proxy/budget", "proxy/cache", "proxy/certs", "proxy/client", "proxy/count", "proxy/engine", "proxy/files", "proxy/hook", "proxy/local", "proxy/lograte", "proxy/policy", "proxy/printable", "proxy/rates", "proxy/record", "proxy/spool", "proxy/stack", "proxy/status"},
	"proxy/allow":                                   {"golang.org/x/sys/unix", "protocol/nowait"},
	"proxy/rates":                                   {"golang.org/x/time/rate", "proxy/client"},
	"proxy/balancer":                                {"github.com/pires/go-proxyproto"},
	"proxy/budget":                                  {"proxy/client"},
	"proxy/certs":                                   {"backends/access"},
	"proxy/client":                                  {},
	"proxy/count":                                   {"backends"},
	"proxy/ops":                                     {"backends", "github.com/rs/zerolog", "golang.org/x/sys/unix", "protocol", "protocol/extended", "proxy", "proxy/*", "proxy/ops/*"},
	"proxy/ops/metrics":                             {"backends", "github.com/prometheus/client_golang/prometheus", "github.com/prometheus/client_golang/prometheus/collectors", "github.com/prometheus/client_golang/prometheus/promhttp", "protocol", "protocol/extended", "proxy", "proxy/*"},
	"proxy/ops/human":                               {},
	"proxy/ops/judge":                               {"backends", "protocol/extended", "proxy/ops/human"},
	"proxy/ops/page":                                {"backends", "protocol/extended", "proxy", "proxy/*"},
	"proxy/ops/admin":                               {"backends", "github.com/rs/zerolog", "protocol/extended", "proxy", "proxy/*"},
	"proxy/cache":                                   {"backends", "github.com/maypok86/otter/v2", "github.com/rs/zerolog", "proxy/client", "proxy/lograte"},
	"proxy/cache/redis":                             {"github.com/redis/rueidis", "github.com/rs/zerolog", "proxy/cache"},
	"proxy/resolve":                                 {"github.com/miekg/dns", "github.com/rs/zerolog"},
	"proxy/record":                                  {"backends", "proxy/client"},
	"proxy/files":                                   {"backends/access", "golang.org/x/sys/unix", "proxy/client"},
	"proxy/hook":                                    {"backends", "backends/access", "github.com/rs/zerolog", "proxy/client", "proxy/lograte"},
	"proxy/local":                                   {"golang.org/x/sys/unix", "protocol/nowait"},
	"proxy/lograte":                                 {"proxy/client"},
	"proxy/policy":                                  {"backends"},
	"proxy/spool":                                   {"backends", "golang.org/x/sys/unix", "protocol/nowait", "proxy/client", "proxy/files"},
	"proxy/spool/spooltest":                         {"proxy/spool"},
	"proxy/stack":                                   {},
	"proxy/status":                                  {"backends", "protocol", "protocol/extended", "proxy/policy"},
	"backends/testfile":                             {},
	"proxy/engine":                                  {"backends", "backends/testfile", "github.com/rs/zerolog", "proxy/cache", "proxy/client", "proxy/count", "proxy/engine/internal/*", "proxy/policy", "proxy/printable", "proxy/resolve", "proxy/spool", "proxy/stack"},
	"proxy/engine/internal/aimd":                    {},
	"proxy/engine/internal/budget":                  {},
	"proxy/engine/internal/health":                  {},
	"proxy/engine/internal/poison":                  {},
	"proxy/engine/internal/queue":                   {"proxy/client"},
	"proxy/engine/internal/timing":                  {},
	"test/testkit":                                  {},
	"test":                                          {"*"},
	"backends/inspect/internal/archive":             {"backends/inspect/internal/walk"},
	"backends/inspect/internal/archive/archivetest": {"backends/inspect/internal/archive"},
	"backends/inspect/iso":                          {"backends/inspect/internal/archive", "backends/inspect/internal/walk"},
	"backends/inspect/lha":                          {"backends/inspect/internal/archive"},
	"backends/inspect/lz4":                          {"backends/inspect/internal/archive"},
	"backends/inspect/lzw":                          {"backends/inspect/internal/archive"},
	"backends/inspect/xz":                           {"backends/inspect/internal/archive", "backends/inspect/internal/walk", "backends/inspect/internal/filter", "backends/inspect/internal/lzma"},
	"backends/inspect/zstd":                         {"backends/inspect/internal/archive", "github.com/klauspost/compress/zstd"},
	"backends/internal/ascii":                       {},
	"backends/internal/engineconn/linetest":         {"backends", "backends/backendtest", "backends/testfile", "test/testkit"},
	"backends/internal/texts":                       {"backends"},
	"backends/internal/wire/wiretest":               {"backends", "backends/backendtest", "backends/testfile", "test/testkit"},
}

func TestImportsRunOneWay(t *testing.T) {
	const root = "../.."
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files++
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(strings.TrimPrefix(filepath.Dir(path), root+"/"))
		for _, spec := range file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			if !allowed(dir, imported) {
				t.Errorf("%s may not import %s", path, imported)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Errorf("looked at %d files only", files)
	}
}

func TestRules(t *testing.T) {
	for _, tt := range []struct {
		dir, imported string
		want          bool
	}{
		{"protocol", "net", true},
		{"protocol", "polyclam/backends", false},
		{"protocol", "golang.org/x/sys/unix", false},
		{"backends", "polyclam/protocol", false},
		{"backends/clamd", "polyclam/protocol", true},
		{"backends/newengine", "polyclam/backends/internal/engineconn", true},
		{"backends/newengine", "polyclam/protocol", false},
		{"proxy/policy", "github.com/rs/zerolog", false},
		{"proxy", "polyclam/proxy/policy", true},
		{"proxy", "polyclam/cmd/internal/config", false},
		{"proxy/spool", "polyclam/proxy", false},
		{"cmd/polyclamd", "polyclam/proxy", true},
		{"unknown", "polyclam/proxy", false},
	} {
		if got := allowed(tt.dir, tt.imported); got != tt.want {
			t.Errorf("%s imports %s: got %v", tt.dir, tt.imported, got)
		}
	}
}

// allowed reports whether a package in dir may import imported.
func allowed(dir, imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	own, isOwn := strings.CutPrefix(imported, "polyclam/")
	if !isOwn && !strings.Contains(first, ".") {
		return true
	}
	folder := dir
	for {
		list, ok := rules[folder]
		if !ok {
			list, ok = rules[path.Dir(folder)+"/*"]
		}
		if ok {
			for _, rule := range list {
				prefix, wild := strings.CutSuffix(rule, "*")
				if rule == own || rule == imported || wild && isOwn && strings.HasPrefix(own, prefix) || wild && strings.HasPrefix(imported, prefix) {
					return true
				}
			}
			return false
		}
		i := strings.LastIndex(folder, "/")
		if i < 0 {
			return false
		}
		folder = folder[:i]
	}
}

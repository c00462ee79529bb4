// Package imports proves which room of polyclam imports which. Imports run one way:
//
//	cmd -> proxy -> backends, protocol
package imports

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// rules say for the packages below a folder what else of polyclam, and which
// libraries, they may import; the longest matching folder counts. What is not
// polyclam's and has no dot in its first element is the standard library.
var rules = map[string][]string{
	"backends":                                      {},
	"backends/avast":                                {"backends", "backends/internal/ascii", "backends/internal/engineconn", "backends/internal/texts"},
	"backends/backendtest":                          {"backends"},
	"backends/clamd":                                {"backends", "backends/internal/clamdclient", "backends/internal/engineconn", "backends/internal/file", "backends/internal/idle", "protocol"},
	"backends/command":                              {"backends"},
	"backends/command/commandfake":                  {},
	"backends/drwebd":                               {"backends", "backends/internal/engineconn"},
	"backends/fprot":                                {"backends", "backends/internal/engineconn"},
	"backends/fsecure":                              {"backends", "backends/internal/ascii", "backends/internal/engineconn", "backends/internal/texts"},
	"backends/httpscan":                             {"backends", "backends/internal/wire"},
	"backends/icap":                                 {"backends", "backends/internal/engineconn", "backends/internal/wire"},
	"backends/inspect":                              {"backends", "backends/inspect/*"},
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
	"backends/inspect/internal/walk":                {},
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
	"backends/internal/clamdclient":                 {"backends", "backends/internal/engineconn", "protocol"},
	"backends/internal/clamdclient/clamdfake":       {"backends", "backends/backendtest", "backends/internal/wire/wiretest"},
	"backends/internal/engineconn":                  {"backends", "backends/internal/file", "backends/internal/idle"},
	"backends/internal/file":                        {"backends"},
	"backends/internal/idle":                        {},
	"backends/internal/wire":                        {"backends", "backends/internal/engineconn"},
	"backends/kav":                                  {"backends", "backends/internal/ascii", "backends/internal/engineconn"},
	"backends/kse":                                  {"backends", "backends/internal/file", "backends/internal/wire"},
	"backends/polyclam":                             {"backends", "backends/internal/clamdclient", "backends/internal/engineconn", "protocol"},
	"backends/registry":                             {"backends", "backends/*"},
	"backends/savapi":                               {"backends", "backends/internal/ascii", "backends/internal/engineconn", "backends/internal/texts"},
	"backends/sophie":                               {"backends", "backends/internal/engineconn", "backends/internal/file", "backends/internal/texts"},
	"backends/sssp":                                 {"backends", "backends/internal/engineconn", "backends/internal/file"},
	"backends/sssp/ssspfake":                        {"backends", "backends/backendtest"},
	"cmd":                                           {"*"},
	"protocol":                                      {},
	"proxy":                                         {"backends", "github.com/rs/zerolog", "golang.org/x/sys/unix", "protocol", "proxy/*"},
	"proxy/client":                                  {"golang.org/x/sys/unix"},
	"proxy/files":                                   {"golang.org/x/sys/unix", "proxy/client"},
	"proxy/policy":                                  {"backends"},
	"proxy/spool":                                   {"backends", "golang.org/x/sys/unix", "proxy/client", "proxy/files"},
	"proxy/spool/spooltest":                         {"proxy/spool"},
	"proxy/status":                                  {"backends", "protocol", "proxy/policy"},
	"proxy/testfile":                                {},
	"proxy/engine":                                  {"backends", "github.com/rs/zerolog", "proxy/client", "proxy/engine/internal/*", "proxy/policy", "proxy/spool", "proxy/testfile"},
	"proxy/engine/internal/aimd":                    {},
	"proxy/engine/internal/budget":                  {},
	"proxy/engine/internal/health":                  {},
	"proxy/engine/internal/poison":                  {},
	"proxy/engine/internal/queue":                   {"proxy/client"},
	"proxy/engine/internal/timing":                  {},
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
	"backends/internal/engineconn/linetest":         {"backends", "backends/backendtest"},
	"backends/internal/texts":                       {"backends"},
	"backends/internal/wire/wiretest":               {"backends", "backends/backendtest"},
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

// allowed reports whether a package in dir may import the path.
func allowed(dir, path string) bool {
	first, _, _ := strings.Cut(path, "/")
	own, isOwn := strings.CutPrefix(path, "polyclam/")
	if !isOwn && !strings.Contains(first, ".") {
		return true
	}
	folder := dir
	for {
		if list, ok := rules[folder]; ok {
			for _, rule := range list {
				prefix, wild := strings.CutSuffix(rule, "*")
				if rule == own || rule == path || wild && isOwn && strings.HasPrefix(own, prefix) || wild && strings.HasPrefix(path, prefix) {
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

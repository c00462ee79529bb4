package cli

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestDescribe(t *testing.T) {
	git := []debug.BuildSetting{{Key: "vcs.revision", Value: "4fb23e0"}, {Key: "vcs.time", Value: "2026-11-28T03:39:28Z"}, {Key: "vcs.modified", Value: "true"}}
	for _, test := range []struct {
		name, version, commit, date string
		info                        debug.BuildInfo
		want                        string
	}{
		{"stamped", "1.2.3", "c0ffee", "2026-11-28T03:39:28Z", debug.BuildInfo{Main: debug.Module{Version: "v0.0.1"}, Settings: git}, "1.2.3 (commit c0ffee, 2026-11-28T03:39:28Z, GO)"},
		{"go build in git", "", "", "", debug.BuildInfo{Main: debug.Module{Version: "v0.0.1+dirty"}, Settings: git}, "v0.0.1+dirty (commit 4fb23e0, 2026-11-28T03:39:28Z, GO)"},
		{"go build elsewhere", "", "", "", debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "devel (GO)"},
		{"go test", "", "", "", debug.BuildInfo{}, "devel (GO)"},
	} {
		want := test.want[:len(test.want)-3] + runtime.Version() + ")"
		if got := describe(test.version, test.commit, test.date, &test.info); got != want {
			t.Errorf("%s: %q, want %q", test.name, got, want)
		}
	}
}

package documents

import (
	"strings"
	"testing"

	"polyclam/backends/inspect/internal/build"
)

func TestManifest(t *testing.T) {
	for name, c := range map[string]struct{ manifest, want string }{
		"usual":           {build.ODFManifestText("content.xml", build.ODFEncryption), `member "content.xml" in odf: AES256-CBC`},
		"no prefix":       {`<manifest xmlns="` + namespace + `"><file-entry full-path='a.xml'><encryption-data></encryption-data>`, `member "a.xml" in odf: encrypted`},
		"old":             {`<m:manifest xmlns:m="` + namespaceOO + `"><m:file-entry m:full-path="a"><m:encryption-data/>`, `member "a" in odf: encrypted`},
		"no path":         {`<m:x xmlns:m="` + namespace + `"><m:encryption-data`, `odf: encrypted`},
		"no quote":        {`<m:x xmlns:m="` + namespace + `" full-path=><m:encryption-data algorithm-name="`, `odf: encrypted`},
		"plain":           {build.ODFManifestText("content.xml", ""), ""},
		"in a path":       {build.ODFManifestText("encryption-data", ""), ""},
		"in a folder":     {build.ODFManifestText("x/encryption-data.xml", ""), ""},
		"as a value":      {build.ODFManifestText("a", `<manifest:x y="encryption-data"/>`), ""},
		"closing only":    {build.ODFManifestText("a", `</manifest:encryption-data>`), ""},
		"UTF-16":          {wide(build.ODFManifestText("content.xml", build.ODFEncryption)), `member "content.xml" in odf: AES256-CBC`},
		"reference":       {`<m:x xmlns:m="&#117;` + namespace[1:] + `"><m:encryption-data/>`, "odf: encrypted"},
		"other namespace": {`<m:x xmlns:m="urn:x"><m:encryption-data/>`, ""},
		"empty":           {"", ""},
	} {
		got := ""
		if seen := Manifest([]byte(c.manifest)); seen != nil {
			got = seen.Detail
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// wide encodes s as UTF-16.
func wide(s string) string { return "\xff\xfe" + strings.Join(strings.Split(s, ""), "\x00") + "\x00" }

func FuzzManifest(f *testing.F) {
	f.Add([]byte(build.ODFManifestText("content.xml", build.ODFEncryption)))
	f.Fuzz(func(t *testing.T, data []byte) {
		Manifest(append([]byte(namespace), data...))
	})
}

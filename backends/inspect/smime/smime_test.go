package smime

import (
	"strings"
	"testing"
)

func TestCMSEncryption(t *testing.T) {
	oid := types[0].oid
	for b, want := range map[string]string{
		"\x30\x80" + oid + "\xa0\x80\x30\x80":                                             "enveloped data",
		"\x30\x82\x01\x00" + oid + "\xa0\x82\x00\x90\x30\x01":                             "enveloped data",
		"\x30\x20" + types[3].oid + "\xa0\x10\x30\x01":                                    "authenticated enveloped data",
		"\x30\x20" + types[2].oid + "\xa0\x10\x30\x01":                                    "encrypted data",
		"\x30\x20" + strings.Replace(oid, "\x07\x03", "\x07\x02", 1) + "\xa0\x10\x30\x01": "",
		"\x30\x20" + oid + "\x30\x10\x30\x01":                                             "",
		"\x31\x20" + oid + "\xa0\x10\x30\x01":                                             "",
		"\x30\x20" + oid:                                                                  "",
		"\x30\x89" + oid + "\xa0\x10\x30\x01":                                             "",
		"\x30":                                                                            "",
		"":                                                                                "",
	} {
		if got := Encryption([]byte(b)); got != want {
			t.Errorf("%q: got %q, want %q", b, got, want)
		}
	}
}

func FuzzCMS(f *testing.F) {
	f.Add([]byte("\x30\x80" + types[0].oid + "\xa0\x80\x30\x80"))
	f.Fuzz(func(t *testing.T, data []byte) { Encryption(data) })
}

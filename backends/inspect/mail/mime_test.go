package mail

import "testing"

func FuzzMediaType(f *testing.F) {
	f.Add("text/plain; charset=utf-8; name*0=a; name*1=b")
	f.Fuzz(func(t *testing.T, value string) { mediaType(value) })
}

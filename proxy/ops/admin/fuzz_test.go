package admin

import (
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"
)

// FuzzDecode checks that a request is either refused in a short sentence, or means the same
// when it is written again.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"engine":"clamav","node":"unix:/a","force":true}`, `{"engine":1}`, `{"x":{}}`, `{}{}`, `null`, `[[[`, "{\"engine\":\"\xff\"}", `{"ENGINE":"a","engine":"b"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var o, again nodeRequest
		if err := decode(body, &o); err != nil {
			var refused *refusal
			if !errors.As(err, &refused) || refused.status != 400 || len(refused.text) > 5*maxName || !utf8.ValidString(refused.text) {
				t.Errorf("%q: the error is %v", body, err)
			}
			return
		}
		text, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := decode(text, &again); err != nil || again != o {
			t.Errorf("%q is %+v, and again %+v, %v", body, o, again, err)
		}
	})
}

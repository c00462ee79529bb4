package config
import ("testing";"strings";"time")
func TestDeep(t *testing.T) {
 for _, s := range []string{"a="+strings.Repeat("[", 1<<20-10), "a="+strings.Repeat("{a=", 300000), strings.Repeat("a.", 1<<14)+"b=1", "a="+strings.Repeat("[", 500000)+strings.Repeat("]", 500000)} {
  b := time.Now(); _, err := Parse("x", []byte(s)); t.Log(time.Since(b), len(err.Error()))
 }
}

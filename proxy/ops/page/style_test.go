package page

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// colors returns the variables of the style in both schemes.
func colors(t *testing.T) (light, dark map[string]string) {
	t.Helper()
	before, after, found := strings.Cut(pageCSS, "@media (prefers-color-scheme: dark)")
	if !found {
		t.Fatal("the style has no dark scheme")
	}
	after, _, _ = strings.Cut(after, "\n}\n")
	variable := regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`)
	read := func(css string) map[string]string {
		m := map[string]string{}
		for _, match := range variable.FindAllStringSubmatch(css, -1) {
			m[match[1]] = match[2]
		}
		return m
	}
	light, dark = read(before), read(after)
	if len(light) < 20 || len(light) != len(dark) {
		t.Fatalf("%d colors in the light scheme, %d in the dark one", len(light), len(dark))
	}
	return light, dark
}

// luminance is the relative luminance of WCAG.
func luminance(t *testing.T, color string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(strings.TrimPrefix(color, "#"), 16, 32)
	if err != nil || len(color) != 7 {
		t.Fatalf("%q is not a color", color)
	}
	channel := func(shift uint) float64 {
		c := float64(n>>shift&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*channel(16) + 0.7152*channel(8) + 0.0722*channel(0)
}

func contrast(t *testing.T, a, b string) float64 {
	l, m := luminance(t, a), luminance(t, b)
	return (max(l, m) + 0.05) / (min(l, m) + 0.05)
}

// TestContrast checks every color of a text on every color that it is shown on, and that
// drawings can be seen.
func TestContrast(t *testing.T) {
	if c := contrast(t, "#000000", "#ffffff"); math.Abs(c-21) > 0.001 {
		t.Fatalf("black on white is %v", c)
	}
	if c := contrast(t, "#777777", "#ffffff"); math.Abs(c-4.478) > 0.001 {
		t.Fatalf("grey on white is %v", c)
	}
	light, dark := colors(t)
	for scheme, c := range map[string]map[string]string{"light": light, "dark": dark} {
		for back, fronts := range map[string]string{
			"bg":      "text muted link good warn bad",
			"raised":  "text muted",
			"good-bg": "text good", "warn-bg": "text warn", "bad-bg": "text bad", "idle-bg": "idle",
		} {
			for front := range strings.FieldsSeq(fronts) {
				if got := contrast(t, c[front], c[back]); got < 4.5 {
					t.Errorf("%s: the contrast of %s on %s is %.2f, want 4.5", scheme, front, back, got)
				}
			}
		}
		for drawing := range strings.FieldsSeq("focus bar ok virus suspicious encrypted partial swerr interrupted cannot-execute not-installed") {
			if got := min(contrast(t, c[drawing], c["bg"]), contrast(t, c[drawing], c["raised"])); got < 3 {
				t.Errorf("%s: the contrast of %s is %.2f, want 3", scheme, drawing, got)
			}
		}
	}
}

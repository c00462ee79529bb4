// Package texts maps an engine's free texts to categories, by the whole text.
//
// A text that merely contains a word proves nothing: "virus data is corrupt" is a
// failure, and many texts contain the name of a member. So a text counts only if it
// is exactly one that is documented, or one that the site has seen and vouches for.
package texts

import (
	"errors"
	"slices"

	"polyclam/backends"
)

// Keys are the keys of the configuration by which a site vouches for texts of its
// engine. Each is compared with the whole text.
type Keys struct {
	// Encrypted says that a part is encrypted.
	Encrypted []string `toml:"encrypted_texts"`
	// Partial says that a part was not scanned, for a reason that no retry changes.
	Partial []string `toml:"partial_texts"`
}

// maxText is the longest text that can be given.
const maxText = 500

// Check returns an error for texts that cannot be one of an engine.
func (k *Keys) Check() error {
	return errors.Join(check("encrypted_texts", k.Encrypted), check("partial_texts", k.Partial), k.distinct())
}

func check(key string, texts []string) error {
	for _, t := range texts {
		if t == "" || len(t) > maxText || slices.ContainsFunc([]byte(t), func(b byte) bool { return b < ' ' || b == 0x7f }) {
			return backends.KeyErrorf(key, "%.100q: write a whole text as the engine sends it, in one line", t)
		}
	}
	return nil
}

func (k *Keys) distinct() error {
	for _, t := range k.Encrypted {
		if slices.Contains(k.Partial, t) {
			return backends.KeyErrorf("partial_texts", "%.100q is in encrypted_texts too", t)
		}
	}
	return nil
}

// Category is Encrypted or Partial for a text of the site, and empty for any other.
func (k *Keys) Category(text string) backends.Category {
	switch {
	case slices.Contains(k.Encrypted, text):
		return backends.Encrypted
	case slices.Contains(k.Partial, text):
		return backends.Partial
	}
	return ""
}

// Package texts maps an engine's free texts to categories.
//
// A word in a text proves nothing: "virus data is corrupt" is a failure, and many texts
// contain the name of a member. So a text counts only if all of it equals a documented
// text or one that the site lists in the configuration.
package texts

import (
	"errors"
	"slices"

	"polyclam/backends"
)

// Keys are the configuration keys in which a site lists texts of its engine. Only whole
// texts match.
type Keys struct {
	// Encrypted lists texts that mean that a part is encrypted.
	Encrypted []string `toml:"encrypted_texts"`
	// Partial lists texts that mean that a part was not scanned for a permanent reason.
	Partial []string `toml:"partial_texts"`
}

// maxText is the maximum length of a text.
const maxText = 500

// Check returns an error for texts that no engine can send.
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

// Category returns Encrypted or Partial for a listed text, and "" for any other.
func (k *Keys) Category(text string) backends.Category {
	switch {
	case slices.Contains(k.Encrypted, text):
		return backends.Encrypted
	case slices.Contains(k.Partial, text):
		return backends.Partial
	}
	return ""
}

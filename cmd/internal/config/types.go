package config

import (
	"errors"
	"fmt"
	"os/user"
	"regexp"
	"strconv"
	"strings"

	"polyclam/protocol/dataport"
	"polyclam/proxy"
)

// Group is a group ID; the file has the ID or the name.
type Group int

// NoGroup means the daemon's own group.
const NoGroup = -1

// UnmarshalText implements [encoding.TextUnmarshaler].
func (g *Group) UnmarshalText(text []byte) error {
	id := string(text)
	if _, err := strconv.ParseUint(id, 10, 31); err != nil {
		found, err := user.LookupGroup(id)
		if err != nil {
			return fmt.Errorf("there is no group %q; write the name or number of a group of this machine", text)
		}
		id = found.Gid
	}
	n, err := strconv.Atoi(id)
	*g = Group(n)
	return err
}

// Ports is a range of ports, "1024-2048"; empty: any free port.
type Ports dataport.Range

// UnmarshalText implements [encoding.TextUnmarshaler].
func (p *Ports) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*p = Ports{}
		return nil
	}
	low, high, _ := strings.Cut(string(text), "-")
	first, firstErr := strconv.ParseUint(low, 10, 16)
	last, lastErr := strconv.ParseUint(high, 10, 16)
	if firstErr != nil || lastErr != nil || first == 0 || last < first {
		return fmt.Errorf("%q is not a range of ports; write two numbers between 1 and 65535, the lower first, for example \"1024-2048\"", text)
	}
	*p = Ports{First: uint16(first), Last: uint16(last)}
	return nil
}

// Hash is a [proxy.HashMode]. The file may have true for "always" and false for "never".
type Hash proxy.HashMode

// UnmarshalBool implements [decode.BoolUnmarshaler].
func (h *Hash) UnmarshalBool(always bool) {
	*h = Hash(proxy.HashNever)
	if always {
		*h = Hash(proxy.HashAlways)
	}
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (h *Hash) UnmarshalText(text []byte) error {
	switch m := proxy.HashMode(text); m {
	case proxy.HashAlways, proxy.HashFound, proxy.HashNever:
		*h = Hash(m)
		return nil
	}
	return fmt.Errorf(`unknown value %q; known: always, found, never`, text)
}

// Pattern is a regular expression for the names of findings.
type Pattern struct{ *regexp.Regexp }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (p *Pattern) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return errors.New(`an empty expression matches every name; write one such as '^PUA\.'`)
	}
	re, err := regexp.Compile(string(text))
	if err != nil {
		return fmt.Errorf(`%w; write a regular expression of RE2, for example '^PUA\.'`, err)
	}
	p.Regexp = re
	return nil
}

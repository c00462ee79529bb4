package wire

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"polyclam/backends"
)

// maxFileName is the maximum length of a file name before escaping, as in file systems.
const maxFileName = 255

// NeutralName is the file name for an object without one. It has no extension, because
// some products skip or block files by extension alone.
const NeutralName = "object"

var fileName = regexp.MustCompile(`^[A-Za-z0-9._ \[\]-]{1,100}$`)

// CheckFileName returns an error if name cannot be used for objects without a name.
func CheckFileName(key, name string) error {
	if fileName.MatchString(name) && strings.Trim(name, ". ") != "" {
		return nil
	}
	return backends.KeyErrorf(key, "%q is not a file name; write letters, digits and ._-[]", name)
}

// FileName returns the name of an object, see [backends.Named], or neutral if it has
// none. The result is one path element in valid UTF-8, without control characters,
// shortened to 255 bytes with its extension kept. It must still be escaped.
func FileName(o backends.Object, neutral string) string {
	named, ok := o.(backends.Named)
	if !ok {
		return neutral
	}
	name := named.Name()
	if len(name) > 16<<10 {
		name = name[len(name)-16<<10:]
	}
	name = strings.Map(visible, strings.ToValidUTF8(name, "_"))
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	if strings.Trim(name, ". ") == "" {
		return neutral
	}
	return shorten(name)
}

// visible replaces control characters and those that change the direction of text.
func visible(r rune) rune {
	if r == ' ' || unicode.IsGraphic(r) && !unicode.IsSpace(r) {
		return r
	}
	return '_'
}

// shorten removes the middle of a long name.
func shorten(name string) string {
	if len(name) <= maxFileName {
		return name
	}
	extension := path.Ext(name)
	if len(extension) > 32 {
		extension = ""
	}
	n := maxFileName - len(extension)
	for !utf8.RuneStart(name[n]) {
		n--
	}
	return name[:n] + extension
}

// PathName returns a file name as a segment of a URL's path.
func PathName(name string) string { return url.PathEscape(name) }

// Disposition returns the value of Content-Disposition with a file name (RFC 6266): in ASCII,
// and if that loses part of the name, also encoded as in RFC 5987.
func Disposition(name string) string {
	plain := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune(`"\%`, r) {
			return '_'
		}
		return r
	}, name)
	value := `attachment; filename="` + plain + `"`
	if plain != name {
		value += "; filename*=UTF-8''" + extended(name)
	}
	return value
}

// extended percent-encodes everything except the attr-char of RFC 5987.
func extended(name string) string {
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.IndexByte("!#$&+-.^_`|~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// disposition is the field that RFC 6266 defines.
const disposition = "Content-Disposition"

// NameField returns a header field with a file name: as in RFC 6266 for
// Content-Disposition, percent-encoded for any other field.
func NameField(field, name string) Field {
	if strings.EqualFold(field, disposition) {
		return Field{field, Disposition(name)}
	}
	return Field{field, PathName(name)}
}

// CheckNameField returns an error if the field cannot carry a file name. It may be empty.
func CheckNameField(key, field string) error {
	if field == "" {
		return nil
	}
	if err := checkField(field, ""); err != nil || strings.EqualFold(field, "Host") || strings.EqualFold(field, "Content-Type") {
		return backends.KeyErrorf(key, `%q is not the name of a header field for file names; write for example "Content-Disposition" or "X-Filename"`, field)
	}
	return nil
}

// FormName returns a file name for the quoted parameter of a form part. RFC 7578 does not
// allow RFC 5987's encoding there. Like browsers, FormName keeps UTF-8 and escapes
// quotes.
func FormName(name string) string {
	return strings.NewReplacer(`"`, "%22", `\`, "%5C", "\r", "%0D", "\n", "%0A").Replace(name)
}

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

// maxFileName bounds the name of a file before it is escaped. File systems have the
// same limit.
const maxFileName = 255

// NeutralName is the name of an object that has none. It has no extension, because
// that would claim a type: some products skip types they take for harmless, and block
// others, by the extension alone. Without one they have to look at the object.
const NeutralName = "object"

var fileName = regexp.MustCompile(`^[A-Za-z0-9._ \[\]-]{1,100}$`)

// CheckFileName returns an error if name cannot stand in for the name of an object
// without one.
func CheckFileName(key, name string) error {
	if fileName.MatchString(name) && strings.Trim(name, ". ") != "" {
		return nil
	}
	return backends.KeyErrorf(key, "%q is not a file name; write letters, digits and ._-[]", name)
}

// FileName is the name of the file that an object comes from, see [backends.Named], or
// neutral if there is none: the last element of a path, without control characters, in
// valid UTF-8, at most 255 bytes of it with the extension kept. It still has to be
// escaped.
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

// visible replaces what is not a visible character: control characters, and those
// that change the direction of text.
func visible(r rune) rune {
	if r == ' ' || unicode.IsGraphic(r) && !unicode.IsSpace(r) {
		return r
	}
	return '_'
}

// shorten takes the middle out of a long name.
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

// PathName is a file name as a segment of a URL's path.
func PathName(name string) string { return url.PathEscape(name) }

// Disposition is a file name as the value of Content-Disposition, as RFC 6266 wants:
// in ASCII, and where that is not the name, also in the form of RFC 5987.
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

// extended percent-encodes everything but the attr-char of RFC 5987.
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

// disposition is the field for which RFC 6266 has a form.
const disposition = "Content-Disposition"

// NameField is a field of a head that carries a file name: Content-Disposition as in
// RFC 6266, any other percent-encoded.
func NameField(field, name string) Field {
	if strings.EqualFold(field, disposition) {
		return Field{field, Disposition(name)}
	}
	return Field{field, PathName(name)}
}

// CheckNameField returns an error if the field cannot carry a file name. Empty is none.
func CheckNameField(key, field string) error {
	if field == "" {
		return nil
	}
	if err := checkField(field, ""); err != nil || strings.EqualFold(field, "Host") || strings.EqualFold(field, "Content-Type") {
		return backends.KeyErrorf(key, `%q is not the name of a header field for file names; write for example "Content-Disposition" or "X-Filename"`, field)
	}
	return nil
}

// FormName is a file name between the quotes of a part's head in a form. RFC 7578
// does not allow the form of RFC 5987 there; browsers send UTF-8 and escape what would
// end the quotes.
func FormName(name string) string {
	return strings.NewReplacer(`"`, "%22", `\`, "%5C", "\r", "%0D", "\n", "%0A").Replace(name)
}

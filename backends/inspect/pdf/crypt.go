package pdf

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/rc4"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"

	"polyclam/backends/inspect/internal/walk"
)

// pad extends passwords to 32 bytes (ISO 32000-1, algorithm 2). The empty password becomes
// all padding.
const pad = "\x28\xbf\x4e\x5e\x4e\x75\x8a\x41\x64\x00\x4e\x56\xff\xfa\x01\x08" +
	"\x2e\x2e\x00\xb6\xd0\x68\x3e\x80\x2f\x0c\xa9\xfe\x64\x53\x69\x7a"

// newest is the last revision of the standard security handler in ISO 32000-2.
const newest = 6

// security is the standard security handler's dictionary.
type security struct {
	version, revision int
	length            int // key length in bytes
	o, u              string
	permissions       int32
	metadata          bool
	id                string
}

// locked reports whether a document needs a password, and how it is encrypted.
func (f *file) locked(d, trailer dict) (string, bool) {
	filter, ok := f.resolve(d["Filter"]).(nameObject)
	if !ok {
		return "", false
	}
	if filter != "Standard" {
		return fmt.Sprintf("security handler %q", walk.Cut(string(filter), walk.MaxName)), true
	}
	s := security{
		version: f.int(d["V"]), revision: f.int(d["R"]), length: f.int(d["Length"]) / 8,
		o: f.string(d["O"]), u: f.string(d["U"]),
		permissions: int32(uint32(f.int(d["P"]))),
		metadata:    f.resolve(d["EncryptMetadata"]) != false,
	}
	if id, ok := f.resolve(trailer["ID"]).(array); ok && len(id) > 0 {
		s.id = f.string(id[0])
	}
	method := f.method(d, &s)
	if s.length < 5 || s.length > 32 {
		s.length = 5
	}
	if s.revision > newest {
		return fmt.Sprintf("%s, revision %d", method, s.revision), true // for example AES-GCM (ISO/TS 32003)
	}
	if s.revision < 2 || len(s.u) < 32 || len(s.o) < 32 {
		f.walk.Miss(walk.UnscannedBroken, "pdf: the encryption dictionary is broken")
		return "", false
	}
	if s.opens() {
		return "", false
	}
	how := fmt.Sprintf("%s, revision %d", method, s.revision)
	if s.opensForOwner() {
		// Some readers also try the empty password as the owner's. Others, such as
		// pdf.js, and most engines do not: for them the document is locked.
		how += "; some readers open it with the owner's empty password"
	}
	return how, true
}

// method names the encryption method, and sets the key length accordingly.
func (f *file) method(d dict, s *security) string {
	if s.version < 4 {
		if s.version == 1 || s.length == 0 {
			s.length = 5
		}
		return fmt.Sprintf("RC4 %d bit", 8*s.length)
	}
	s.length = 16
	filters, _ := f.resolve(d["CF"]).(dict)
	for _, key := range []nameObject{"StmF", "StrF", "EFF"} {
		name, _ := f.resolve(d[key]).(nameObject)
		filter, _ := f.resolve(filters[name]).(dict)
		switch method, _ := f.resolve(filter["CFM"]).(nameObject); method {
		case "V2":
			return "RC4 128 bit"
		case "AESV2":
			return "AES-128"
		case "AESV3", "AESV4":
			return "AES-256"
		}
	}
	return "unknown method"
}

func (f *file) int(o any) int {
	n, _ := f.resolve(o).(float64)
	return int(n)
}

func (f *file) string(o any) string {
	s, _ := f.resolve(o).(stringObject)
	return string(s)
}

// opens reports whether the empty user password opens the document.
func (s *security) opens() bool {
	switch s.revision {
	case 2:
		return bytes.Equal(rC4(s.key(), []byte(pad)), []byte(s.u[:32]))
	case 3, 4:
		return bytes.Equal(s.user(), []byte(s.u[:16]))
	}
	return len(s.u) >= 40 && s.hash(s.u[32:40], "") == s.u[:32]
}

// opensForOwner reports whether the owner's password is empty. Only newer revisions reveal
// that without the user's password.
func (s *security) opensForOwner() bool {
	const user = 48
	return s.revision >= 5 && len(s.o) >= 40 && len(s.u) >= user && s.hash(s.o[32:40], s.u[:user]) == s.o[:32]
}

// hash returns the hash of the empty password with a salt; for the owner's, user is the
// user's entry.
func (s *security) hash(salt, user string) string {
	sum := sha256.Sum256([]byte(salt + user)) // revision 5, of Acrobat 9 only
	if s.revision == 6 {
		return string(hash2B(sum[:], []byte(user)))
	}
	return string(sum[:])
}

// key derives the key from the empty password (algorithm 2).
func (s *security) key() []byte {
	h := md5.New()
	h.Write([]byte(pad))
	h.Write([]byte(s.o[:32]))
	h.Write(binary.LittleEndian.AppendUint32(nil, uint32(s.permissions)))
	h.Write([]byte(s.id))
	if s.revision >= 4 && !s.metadata {
		h.Write([]byte{0xff, 0xff, 0xff, 0xff})
	}
	key := h.Sum(nil)
	n := min(s.length, md5.Size)
	if s.revision == 2 {
		return key[:5]
	}
	for range 50 {
		sum := md5.Sum(key[:n])
		key = sum[:]
	}
	return key[:n]
}

// user computes the first half of U (algorithm 5).
func (s *security) user() []byte {
	key := s.key()
	sum := md5.Sum([]byte(pad + s.id))
	out := sum[:]
	for i := range 20 {
		k := bytes.Clone(key)
		for j := range k {
			k[j] ^= byte(i)
		}
		out = rC4(k, out)
	}
	return out
}

func rC4(key, data []byte) []byte {
	c, err := rc4.NewCipher(key)
	if err != nil {
		return nil // unreachable: the key has 5 to 16 bytes
	}
	out := make([]byte, len(data))
	c.XORKeyStream(out, data)
	return out
}

// hash2B is algorithm 2.B of ISO 32000-2 for the empty password. k is initially the SHA-256
// of the salt, followed by user for the owner's hash. From round 64 on, each round has a
// chance of about one in eight to be the last, so 512 are never reached.
func hash2B(k, user []byte) []byte {
	for round := 0; round < 512; round++ {
		k1 := bytes.Repeat(append(k[:len(k):len(k)], user...), 64)
		block, err := aes.NewCipher(k[:16])
		if err != nil {
			return nil // unreachable: the key has 16 bytes
		}
		cipher.NewCBCEncrypter(block, k[16:32]).CryptBlocks(k1, k1)
		remainder := 0
		for _, c := range k1[:16] {
			remainder += int(c)
		}
		switch remainder % 3 {
		case 0:
			sum := sha256.Sum256(k1)
			k = sum[:]
		case 1:
			sum := sha512.Sum384(k1)
			k = sum[:]
		default:
			sum := sha512.Sum512(k1)
			k = sum[:]
		}
		if round >= 63 && int(k1[len(k1)-1]) <= round-31 {
			break
		}
	}
	return k[:32]
}

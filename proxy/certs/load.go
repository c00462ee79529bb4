package certs

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"polyclam/backends/access"
)

// maxFile is the size of the largest file that is read.
const maxFile = 1 << 20

// The keys that name the files in a configuration.
const (
	keyCertificate = "certificate"
	keyKey         = "key"
	keyClientCA    = "client_ca"
)

// A FileError says what is wrong with one of the files, and what to do.
type FileError struct {
	Key  string // certificate, key or client_ca
	Path string
	Text string
}

// Error implements error.
func (e *FileError) Error() string { return e.Path + ": " + e.Text }

// loaded is what the files contained.
type loaded struct {
	config   *tls.Config // never changed
	expires  time.Time
	warnings []string
	sum      [sha256.Size]byte // of the files
}

// stamp is the state of the files on disk.
type stamp []fileStamp

type fileStamp struct {
	dev, ino uint64
	size     int64
	modified time.Time
	changed  time.Time
}

func (f *Files) paths() []string { return []string{f.Certificate, f.Key, f.ClientCA} }

// stamp looks at the files without reading them.
func (f *Files) stamp() stamp {
	s := make(stamp, 0, 3)
	for _, path := range f.paths() {
		var one fileStamp
		if info, err := os.Stat(path); err == nil {
			one.size, one.modified = info.Size(), info.ModTime()
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				one.dev, one.ino, one.changed = st.Dev, st.Ino, time.Unix(st.Ctim.Unix())
			}
		}
		s = append(s, one)
	}
	return s
}

func (s stamp) equal(t stamp) bool {
	return slices.EqualFunc(s, t, func(a, b fileStamp) bool {
		return a.dev == b.dev && a.ino == b.ino && a.size == b.size && a.modified.Equal(b.modified) && a.changed.Equal(b.changed)
	})
}

// settled reports whether no file has changed for settleTime.
func (s stamp) settled(now time.Time) bool {
	return !slices.ContainsFunc(s, func(f fileStamp) bool { return now.Sub(f.changed) < settleTime })
}

// load reads all files.
func (f *Files) load() (*loaded, error) {
	h := sha256.New()
	read := func(key, path string) ([]byte, error) {
		data, err := readFile(key, path)
		fmt.Fprintf(h, "%d ", len(data))
		h.Write(data)
		return data, err
	}
	certificate, err := read(keyCertificate, f.Certificate)
	key, keyErr := read(keyKey, f.Key)
	if err := errors.Join(err, keyErr); err != nil {
		return nil, err
	}
	pair, err := f.pair(certificate, key)
	if err != nil {
		return nil, err
	}
	l := &loaded{
		config:   &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}},
		expires:  pair.Leaf.NotAfter,
		warnings: f.warnings(pair.Leaf),
	}
	if f.ClientCA != "" {
		data, err := read(keyClientCA, f.ClientCA)
		if err != nil {
			return nil, err
		}
		if err := f.requireClients(l.config, data); err != nil {
			return nil, err
		}
	}
	h.Sum(l.sum[:0])
	return l, nil
}

// requireClients makes c accept only clients with a certificate of an authority in data.
func (f *Files) requireClients(c *tls.Config, data []byte) error {
	list, err := certificates(data)
	if err != nil {
		return &FileError{keyClientCA, f.ClientCA, err.Error()}
	}
	c.ClientCAs = x509.NewCertPool()
	for _, ca := range list {
		c.ClientCAs.AddCert(ca)
	}
	c.ClientAuth = tls.RequireAndVerifyClientCert
	c.VerifyConnection = f.checkName
	// A ticket would let a client in without another look at its certificate.
	c.SessionTicketsDisabled = true
	return nil
}

// pair returns the certificate with its key.
func (f *Files) pair(certificate, key []byte) (tls.Certificate, error) {
	if _, err := certificates(certificate); err != nil {
		return tls.Certificate{}, &FileError{keyCertificate, f.Certificate, err.Error()}
	}
	if text := keyProblem(key); text != "" {
		return tls.Certificate{}, &FileError{keyKey, f.Key, text}
	}
	pair, err := tls.X509KeyPair(certificate, key)
	switch {
	case err == nil:
		return pair, nil
	case strings.Contains(err.Error(), "does not match"):
		return pair, &FileError{keyKey, f.Key, "it does not belong to the certificate in " + f.Certificate + ", of which the first must be the server's own; write both files again from the same request"}
	}
	return pair, &FileError{keyKey, f.Key, "the private key in it cannot be used; an RSA or ECDSA key in PEM is needed, as from \"openssl genpkey\""}
}

// certificates parses all certificates of a PEM file, at least one.
func certificates(data []byte) (list []*x509.Certificate, err error) {
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d in it is damaged (%w)", len(list)+1, err)
		}
		list = append(list, c)
	}
	if begun := bytes.Count(data, []byte("-----BEGIN CERTIFICATE-----")); begun > len(list) && len(list) > 0 {
		return nil, fmt.Errorf("only %d of the %d certificates in it are complete; write the file again", len(list), begun)
	}
	if len(list) == 0 {
		return nil, errors.New("there is no certificate in it; it must be in PEM, with lines that say BEGIN CERTIFICATE")
	}
	return list, nil
}

// keyProblem returns what is wrong with a file that should have a key, or "".
func keyProblem(data []byte) string {
	other := ""
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY", strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			return "the key is protected by a passphrase, which polyclamd cannot ask for; \"openssl pkey -in FILE -out NEW\" writes it without one"
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return ""
		case block.Type == "CERTIFICATE":
			other = "; there is a certificate, which belongs in the key certificate"
		}
	}
	return "there is no private key in it, or only a part of one; it must be in PEM, with lines that say BEGIN PRIVATE KEY" + other
}

// soon is how long before its end a certificate is worth a warning.
const soon = 7 * 24 * time.Hour

func (f *Files) warnings(leaf *x509.Certificate) (list []string) {
	const date = "2 January 2006, 15:04 MST"
	now := time.Now()
	switch {
	case now.After(leaf.NotAfter):
		list = append(list, fmt.Sprintf("the certificate in %s expired on %s, so clients refuse it; put a new one there", f.Certificate, leaf.NotAfter.Format(date)))
	case now.Add(soon).After(leaf.NotAfter) && leaf.NotAfter.Sub(leaf.NotBefore) > 2*soon:
		list = append(list, fmt.Sprintf("the certificate in %s expires on %s; put a new one there before", f.Certificate, leaf.NotAfter.Format(date)))
	case now.Before(leaf.NotBefore):
		list = append(list, fmt.Sprintf("the certificate in %s is valid only from %s on; is the clock right?", f.Certificate, leaf.NotBefore.Format(date)))
	}
	if info, err := os.Stat(f.Key); err == nil && info.Mode().Perm()&0o004 != 0 {
		list = append(list, fmt.Sprintf("every user of this machine can read the private key in %s; chmod o-r it", f.Key))
	}
	return list
}

// readFile reads a file, which is small and regular.
func readFile(key, path string) ([]byte, error) {
	fail := func(format string, args ...any) ([]byte, error) {
		return nil, &FileError{key, path, fmt.Sprintf(format, args...)}
	}
	// A pipe would block, and so would opening one.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist) && access.Missing(path) != "":
		return fail("the directory %s does not exist", access.Missing(path))
	case errors.Is(err, fs.ErrNotExist):
		return fail("there is no such file")
	case errors.Is(err, fs.ErrPermission):
		return fail("%s", denied(key, path))
	case err != nil:
		return fail("%v", reason(err))
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fail("%v", reason(err))
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return fail("this is not a file of at most 1 MiB, in PEM")
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(io.LimitReader(file, maxFile)); err != nil {
		return fail("%v", reason(err))
	}
	return b.Bytes(), nil
}

// denied says why this process may not read a file, and what to do.
func denied(key, path string) string {
	d, err := access.CheckSelf(path, access.Read)
	if err != nil || d == nil {
		return access.Explain(path, access.Read)
	}
	name := filepath.Base(path)
	self := access.Self()
	group := access.GroupName(self.GIDs[0])
	remedy := d.Remedy()
	if d.GID == 0 && d.Path == path { // polyclamd must not join root's group
		remedy = fmt.Sprintf("give it to polyclamd's group (chgrp %s, chmod g+r)", group)
	}
	if key == keyKey {
		remedy += fmt.Sprintf(", or let systemd pass it: LoadCredential=%s:%s in polyclamd's unit, and key = \"/run/credentials/polyclamd.service/%s\"", name, path, name)
	}
	return fmt.Sprintf("permission denied: %s, and %s runs as %s; %s", d, filepath.Base(os.Args[0]), self, remedy)
}

// reason returns the kernel's words alone.
func reason(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

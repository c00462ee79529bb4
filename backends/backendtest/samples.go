package backendtest

import "polyclam/backends/testfile"

// EICAR is [testfile.EICAR].
func EICAR() []byte { return testfile.EICAR() }

// EncryptedZip is [testfile.Encrypted].
func EncryptedZip() []byte { return testfile.Encrypted() }

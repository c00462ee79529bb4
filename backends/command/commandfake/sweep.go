// Package commandfake provides shell scripts that behave like command-line scanners, for
// tests of the code that runs them.
package commandfake

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/test/testkit"
)

// sweep behaves like Sophos Sweep, according to the sources of its preset; lines and exit
// statuses are composed. The object's bytes determine the answer: EICAR, a ZIP archive
// whose first member is encrypted, and the markers of package backendtest. X-FAKE-SLOW
// hangs with a child that holds the output open.
const sweep = `#!/bin/sh
if [ "$1" = -v ]; then
	echo "SWEEP virus detection utility"
	echo "Product version           : 5.38.0"
	echo "Engine version            : 3.69.2"
	echo "Virus data version        : 5.43"
	echo "Released                  : 22 August 2017"
	exit 0
fi
for file; do :; done
has() { grep -qraF -e "$1" -- "$file"; }
if ! [ -r "$file" ]; then
	echo "Could not open $file"
	exit 2
elif has X-FAKE-SLOW; then
	sleep 1000 &
	sleep 1000
elif has EICAR-STANDARD-ANTIVIRUS-TEST-FILE; then
	echo ">>> Virus 'EICAR-AV-Test' found in file $file"
	exit 3
elif has X-FAKE-ENCRYPTED; then
	echo "Password protected file $file/foo.txt"
	exit 2
elif has X-FAKE-PARTIAL; then
	echo "Could not check $file (corrupt)"
	exit 2
elif has X-FAKE-ERROR; then
	echo "Could not open $file"
	exit 2
fi
case $(od -An -tx1 -N8 "$file") in
" 50 4b 03 04 "??" "??" "?[13579bdf]" "*)
	echo "Password protected file $file/hello.txt"
	exit 2 ;;
esac
exit 0
`

// Sweep writes a program that behaves like Sophos Sweep, for the preset "sophos-sweep", and
// returns its path. It is removed when the test ends.
func Sweep(tb testing.TB) string {
	tb.Helper()
	return Script(tb, sweep)
}

// Odd is Sweep, except that for an object that contains mark the program prints output
// and exits with status. PATH in output is replaced by the path of the file.
func Odd(tb testing.TB, mark, output string, status int) string {
	tb.Helper()
	text := fmt.Sprintf("\nif has %s; then\n\tprintf %%s %s | sed \"s|PATH|$file|g\"\n\texit %d\nfi\n", quote(mark), quote(output), status)
	const defined = "has() { grep -qraF -e \"$1\" -- \"$file\"; }\n"
	return Script(tb, strings.Replace(sweep, defined, defined+text, 1))
}

// quote quotes text as one word for the shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// Script writes a program with this text, which begins with "#!", and returns its path.
// Every user may run it. It is removed when the test ends.
func Script(tb testing.TB, text string) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "polyclam")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "scanner")
	testkit.WriteProgram(tb, path, []byte(text))
	if err := os.Chmod(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	return path
}

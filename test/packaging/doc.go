// Package packaging tests what make deb, make rpm and make install produce: their files,
// that two builds are equal, what lintian says, and the systemd units.
package packaging

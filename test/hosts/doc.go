// Package hosts runs several polyclamds that share their results in a real Redis, in front of
// real clamds: what one host knows the others use, and nothing that is no longer true.
//
// Each test runs a part of what is measured. All of it takes
//
//	POLYCLAM_HOSTS_OBJECTS=1000 go test ./test/hosts -count=1 -v
package hosts

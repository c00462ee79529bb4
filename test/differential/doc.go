// Package differential plays dialogues to a real clamd, and to polyclamd in front of
// a clamd with the same configuration, and compares the answers.
//
// A dialogue is data: the bytes and descriptors a client sends, where it waits and
// where it half-closes. The answers must be equal byte for byte, except for what can
// never be equal (times, descriptor numbers) and the order of replies, where clamd
// leaves it open.
//
// Where polyclam differs on purpose, the dialogue names the entry in
// docs/deviations.md and the exact answer expected of polyclam. The test fails for an
// undocumented difference, for a documented one that no longer exists, and for a
// missing entry.
//
// With POLYCLAM_DIFFERENTIAL_SELF=1 in the environment a second clamd replaces
// polyclam, which proves that the dialogues are deterministic.
package differential

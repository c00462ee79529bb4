// Package differential plays dialogues to a real clamd and to polyclamd with a
// clamd of the same configuration behind it, and compares the bytes.
//
// A dialogue is data: the bytes and descriptors a client sends, where it waits
// and where it half-closes. What comes back must be equal, byte for byte, but
// for what can never be (times, numbers of descriptors) and the order of
// replies that clamd itself leaves open.
//
// Where polyclam differs on purpose, the dialogue names the entry of
// docs/deviations.md and the exact answer expected of polyclam. The test fails
// if an undocumented difference shows, if a documented one no longer differs,
// and if the paper has no such entry.
//
// With POLYCLAM_DIFFERENTIAL_SELF=1 in the environment a second clamd takes
// polyclam's place, which proves that the dialogues are deterministic.
package differential

// Package e2e runs polyclamd with the programs that are around it in the field,
// clamdscan, clamdtop and clamd itself, and breaks what can break: engines that
// die, polyclamd that dies, clients that never come to an end.
package e2e

// Package e2e runs polyclamd together with the programs it meets in the field
// (clamdscan, clamdtop and clamd itself) and breaks what can break: engines that die, a
// polyclamd that dies, clients that never finish.
package e2e

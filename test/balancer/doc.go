// Package balancer runs polyclamd for clients of a real HAProxy: two daemons that fail and
// restart under load, and the PROXY protocol.
package balancer

// Package listen opens the sockets of listeners, checks without opening them whether that is
// possible, and explains in an operator's words why it is not.
package listen

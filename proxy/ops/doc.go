// Package ops serves operators over HTTP: health and readiness, metrics, the status as
// JSON and as a page, and on a private socket the commands of the polyclam tool. It only
// reads the proxy and steers it; no scan passes through it.
//
// The parts are packages of their own: metrics, page and admin each provide an
// http.Handler.
package ops

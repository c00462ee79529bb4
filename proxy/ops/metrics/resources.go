package metrics

// resourceFamilies are about what the daemon uses, and its limits. Its memory, descriptors
// and processor time are in the process_ metrics of the library.
var resourceFamilies = []family{
	{"polyclam_connections", gauge, "Connections that are served.", nil,
		func(s *state, w *writer) { w.put(float64(s.Connections.Served)) }, nil},
	{"polyclam_connections_limit", gauge, "The most connections that are served (limits.connections).", nil,
		func(s *state, w *writer) { w.put(float64(s.Connections.Limit)) }, nil},
	{"polyclam_connections_waiting", gauge, "Accepted connections that wait because their client has its share.", nil,
		func(s *state, w *writer) { w.put(float64(s.Connections.Waiting)) }, nil},
	{"polyclam_connections_waiting_limit", gauge, "The most connections that wait (limits.waiting).", nil,
		func(s *state, w *writer) { w.put(float64(s.Connections.WaitingLimit)) }, nil},
	{"polyclam_handshakes", gauge, "TLS handshakes and PROXY headers under way.", nil,
		func(s *state, w *writer) { w.put(float64(s.Connections.Handshakes)) }, nil},
	{"polyclam_handshakes_limit", gauge, "The most handshakes under way (limits.handshakes).", nil,
		func(s *state, w *writer) { w.put(float64(s.Connections.HandshakesLimit)) }, nil},
	{"polyclam_spool_bytes", gauge, "Bytes in the spool.", nil,
		func(s *state, w *writer) { w.put(float64(s.Spool.Used)) }, nil},
	{"polyclam_spool_limit_bytes", gauge, "The most bytes in the spool (limits.spool_total). Missing: no limit.", nil,
		func(s *state, w *writer) { w.limit(s.Spool.Total) }, nil},
	{"polyclam_spool_objects", gauge, "Complete objects in the spool, and files of clients that are open.", nil,
		func(s *state, w *writer) { w.put(float64(s.Spool.Objects)) }, nil},
	{"polyclam_spool_waiting", gauge, "Streams that wait for room in the spool.", nil,
		func(s *state, w *writer) { w.put(float64(s.Spool.Waiting)) }, nil},
	{"polyclam_threads_busy", gauge, "Threads that work on clients' files, or hash objects for the log.", []string{"pool"},
		func(s *state, w *writer) {
			w.put(float64(s.Files.Busy), "files")
			w.put(float64(s.Hashing.Busy), "hashing")
		}, nil},
	{"polyclam_threads_hung", gauge, "Busy threads whose file system does not answer, so that their callers have given up.", []string{"pool"},
		func(s *state, w *writer) {
			w.put(float64(s.Files.WrittenOff), "files")
			w.put(float64(s.Hashing.WrittenOff), "hashing")
		}, nil},
	{"polyclam_threads_limit", gauge, "The most busy threads (limits.file_threads for files).", []string{"pool"},
		func(s *state, w *writer) {
			w.put(float64(s.Files.Limit), "files")
			w.put(float64(s.Hashing.Limit), "hashing")
		}, nil},
	{"polyclam_threads_waiting", gauge, "Operations that wait for a thread.", []string{"pool"},
		func(s *state, w *writer) {
			w.put(float64(s.Files.Waiting), "files")
			w.put(float64(s.Hashing.Waiting), "hashing")
		}, nil},
	{"polyclam_memory_needed_bytes", gauge, "The most memory that the configuration can need.", nil,
		func(s *state, w *writer) { w.limit(s.Server.MemoryNeeded) }, nil},
	{"polyclam_memory_limit_bytes", gauge, "The memory limit of the daemon's control group. Missing: no limit.", nil,
		func(s *state, w *writer) { w.limit(s.Server.MemoryLimit) }, nil},
}

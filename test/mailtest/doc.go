// Package mailtest provides throw-away mail programs for tests of mail filters: a sink
// that keeps every mail it receives, a client that reports how its mail was answered,
// and a Postfix between them, with the milters under test.
//
//	sink := mailtest.StartSink(t)
//	postfix := mailtest.StartPostfix(t, mailtest.PostfixOptions{
//		Milters: []string{"inet:127.0.0.1:" + port}, Relay: sink.Address,
//	})
//	reply, err := mailtest.Send(ctx, postfix.SMTP, mailtest.Message("clean-1"))
//	// reply.Code is 250, 4xx or 5xx
//	postfix.WaitEmpty(t)
//	delivered := sink.Has("clean-1")
//
// Everything is on 127.0.0.1 and ends at the test's cleanup.
package mailtest

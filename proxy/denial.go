package proxy

import (
	"context"
	"errors"
	"path"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends/access"
	"polyclam/proxy/client"
	"polyclam/proxy/printable"
)

// denialTime limits the search for what keeps polyclamd from a client's file. It runs after
// the file systems on the way have answered.
const denialTime = 5 * time.Second

// explainDenial logs why polyclamd may not read a client's file, and what to do about it:
// once per directory and interval, and without holding up the reply.
func (r *request) explainDenial(name string, err error) {
	name = absolute(name)
	var errno syscall.Errno
	errors.As(err, &errno)
	e := r.once("denied "+errno.Error()+" "+path.Dir(name), zerolog.WarnLevel)
	if e == nil {
		return
	}
	srv, key := r.s.srv, r.s.peer.key
	srv.wg.Go(func() {
		defer r.rescue(nil)
		ctx, cancel := context.WithTimeout(client.NewContext(srv.ctx, key), denialTime)
		defer cancel()
		d, err := srv.files.Denied(ctx, name)
		if err != nil {
			return // the line about the object itself is in the log
		}
		reason, hint := "", access.ModesAllow
		if d != nil {
			reason, hint = d.String(), d.Remedy()
		}
		e.Str("object", printable.Escape(name, maxLoggedPath)).Str("runs_as", printable.Escape(access.Self().String(), 4*maxLoggedName)).
			Str("reason", printable.Escape(reason, maxLoggedPath)).Str("hint", printable.Escape(hint, 2*maxLoggedName)).
			Msg("polyclamd may not read a client's file")
	})
}

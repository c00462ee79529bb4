package engine

import (
	"context"

	"polyclam/backends"
	"polyclam/backends/testfile"
	"polyclam/proxy/engine/internal/health"
)

// tryMail sends n a mail with EICAR in it. If n used to find that, a failure counts like one
// for plain EICAR. Otherwise the mail is for information only.
func (p *pool) tryMail(ctx context.Context, n *node, nonce testfile.Nonce, c *health.Check, found *proof) {
	p.mu.Lock()
	opened := n.mail.opened
	p.mu.Unlock()
	if !opened {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, infoTime)
		defer cancel()
		c = nil
	}
	r, err := p.try(ctx, n, "mail with EICAR", testfile.MailedEICAR(nonce), c)
	found.canary.Mail = categoryOf(r, err)
	switch {
	case detected(r):
		found.mail = mailFound
	case err == nil:
		found.mail = mailMissed
	case backends.NoRoom(err):
		found.noRoom = err
	case opened:
		*found = found.failed(err)
	}
}

// explainMail finds out whether n unpacks archives if it does not find EICAR in a mail.
func (p *pool) explainMail(ctx context.Context, n *node, found *proof) {
	if found.mail != mailMissed || found.noRoom != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, infoTime)
	defer cancel()
	r, err := p.try(ctx, n, "packed EICAR", testfile.PackedEICAR(), nil)
	found.packed = detected(r)
	if backends.NoRoom(err) {
		found.noRoom = err
	}
}

// logMail logs that n does not look into mails.
func (p *pool) logMail(n *node, before, now mailHistory) {
	if now.unread && !before.unread {
		p.log.Warn().Str("node", bounded(n.address)).Str("reason", mailUnreadText).Msg("mail not scanned")
	}
}

// forgetAnswers makes the engine of n, which is up again, load its signatures if it may
// have called mails ok without unpacking them: clamd 1.4.6 remembers what it called clean
// until then, and does not scan it again.
func (p *pool) forgetAnswers(n *node) {
	p.mu.Lock()
	due := n.mail.forget
	n.mail.forget = false
	p.mu.Unlock()
	r, ok := n.backend.(backends.Reloader)
	if !due || !ok {
		return
	}
	ctx, cancel := context.WithTimeout(p.life, versionTime)
	defer cancel()
	err := p.call(p.traced(ctx, n, forReload), n, r.Reload)
	p.mu.Lock()
	p.signaturesChanged(n)
	p.mu.Unlock()
	if err != nil {
		p.log.Warn().Str("node", bounded(n.address)).Str("error", shortened(err.Error(), maxReason)).
			Str("reason", "the engine may remember mails that it called ok without unpacking them: restart it").Msg("engine reload")
		return
	}
	p.log.Info().Str("node", bounded(n.address)).Msg("node reloaded")
}

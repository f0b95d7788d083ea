package eventstore

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Pulse says how up to date an engine's subscriptions are. A connection to the log can fall
// silent without an error. Then subscriptions yield nothing, which looks as if nothing had
// been recorded.
type Pulse struct {
	// Proven is a time: everything that any node recorded before it has reached the caught-up
	// subscriptions. It is zero until this was found out for the first time.
	Proven time.Time
	// Trouble is why no later time could be proven. It is nil if the last attempt succeeded.
	Trouble error
}

// Silent is how old Proven may be. If it is older, the log counts as deaf.
const Silent = 10 * time.Second

// Deaf tells whether subscriptions may be missing what is recorded, at the time now.
func (p Pulse) Deaf(now time.Time) bool { return now.Sub(p.Proven) > Silent }

// PulseReporter is an engine that has a pulse. An engine that holds the log in its own
// memory has none: its subscriptions cannot fall silent.
type PulseReporter interface {
	// Pulse answers at once, without asking the database or the server.
	Pulse() Pulse
}

// logEvery bounds how often an outage that lasts is logged.
const logEvery = time.Minute

// PulseRecorder keeps an engine's pulse. It logs when subscriptions fall silent, once a
// minute while that lasts, and when they work again. Its zero value can be used.
type PulseRecorder struct {
	mu       sync.Mutex
	at       Pulse
	loggedAt time.Time // when the silence was last logged
}

// Pulse returns what Note stored last.
func (p *PulseRecorder) Pulse() Pulse {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at
}

// Note stores how an attempt to prove the subscriptions ended, and when it began.
func (p *PulseRecorder) Note(ctx context.Context, logger *slog.Logger, began time.Time, err error) {
	p.mu.Lock()
	before := p.at
	if p.at.Trouble = err; err == nil {
		p.at.Proven = began
	}
	tells := err != nil && (before.Trouble == nil || began.Sub(p.loggedAt) >= logEvery)
	if tells {
		p.loggedAt = began
	}
	p.mu.Unlock()
	switch {
	case tells:
		logger.WarnContext(ctx, "event store does not hear the log: subscriptions of this node bring nothing new",
			"since", before.Proven, "error", err)
	case err == nil && before.Trouble != nil:
		logger.InfoContext(ctx, "event store hears the log again", "after", began.Sub(before.Proven))
	}
}

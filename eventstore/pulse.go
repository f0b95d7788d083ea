package eventstore

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Pulse says how fresh the subscriptions of an engine are. A log can fall silent
// without an error: then subscriptions bring nothing, and look as if nothing
// had been recorded.
type Pulse struct {
	// Proven is a time: everything recorded before it, by any node, has reached the
	// caught-up subscriptions. It is the zero time until that is known once.
	Proven time.Time
	// Trouble is why it is not known for any later time; nil if the last attempt
	// to find out succeeded.
	Trouble error
}

// Silent is when a log whose pulse was not proven for so long counts as deaf.
const Silent = 10 * time.Second

// Deaf tells whether subscriptions cannot be trusted to bring what is recorded.
func (p Pulse) Deaf(now time.Time) bool { return now.Sub(p.Proven) > Silent }

// Proving is an engine that has a pulse. An engine that holds the log in its own
// memory has none: its subscriptions cannot fall silent.
type Proving interface {
	// Pulse answers at once, without asking the database or the server.
	Pulse() Pulse
}

// tellEvery bounds how often a lasting outage is logged.
const tellEvery = time.Minute

// PulseRecorder keeps an engine's pulse, and logs when the log falls silent, once a
// minute while it lasts, and when it is heard again. Its zero value is ready.
type PulseRecorder struct {
	mu   sync.Mutex
	at   Pulse
	told time.Time // when it was last logged that the log is not heard
}

// Pulse is what was noted last.
func (p *PulseRecorder) Pulse() Pulse {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at
}

// Note notes how an attempt to hear the log ended, and when it began.
func (p *PulseRecorder) Note(ctx context.Context, logger *slog.Logger, began time.Time, err error) {
	p.mu.Lock()
	before := p.at
	if p.at.Trouble = err; err == nil {
		p.at.Proven = began
	}
	tells := err != nil && (before.Trouble == nil || began.Sub(p.told) >= tellEvery)
	if tells {
		p.told = began
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

package eventstore

import "time"

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

package aggregate

import "slices"

// Condition is what the sender of a request expects of the stream. All that is set must
// hold. The zero value expects nothing.
type Condition struct {
	Exists bool // it has events
	Empty  bool // it has none
	// At, where not nil, are revisions of which it has one. An empty list never holds.
	At []int64
	// NotAt are revisions of which it has none.
	NotAt []int64
}

// AtRevision expects one revision.
func AtRevision(revision int64) *Condition { return &Condition{At: []int64{revision}} }

// holds tells whether a stream is as expected. own is the revision of the latest event
// that changed its state, -1 if there is none, and last that of its latest event of all:
// what another program wrote after the shop's own has changed nothing.
func (c *Condition) holds(own, last int64) bool {
	if c == nil {
		return true
	}
	here := func(revision int64) bool { return own <= revision && revision <= last }
	switch {
	case c.Exists && own < 0, c.Empty && own >= 0:
		return false
	case c.At != nil && !slices.ContainsFunc(c.At, here):
		return false
	}
	return !slices.ContainsFunc(c.NotAt, here)
}

// Allows tells whether a stream at a revision is as expected.
func (c *Condition) Allows(revision int64) bool { return c.holds(revision, revision) }

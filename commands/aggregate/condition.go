package aggregate

import "slices"

// Condition is what the sender of a request expects of the stream. All members that are set
// must be met. The zero value is always met.
type Condition struct {
	Exists bool // the stream has events
	Empty  bool // the stream has no events
	// At, if not nil, has the allowed revisions: the stream must be at one of them. An empty
	// list is never met.
	At []int64
	// NotAt has the forbidden revisions: the stream must be at none of them.
	NotAt []int64
}

// AtRevision is the condition that the stream is at a revision.
func AtRevision(revision int64) *Condition { return &Condition{At: []int64{revision}} }

// holds tells whether a stream meets the condition. own is the revision of the shop's latest
// event in the stream (-1: none). last is the revision of the latest event of any program.
// Both are allowed, because events that another program wrote after the shop's have changed
// nothing.
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

// Allows tells whether a stream at this revision meets the condition.
func (c *Condition) Allows(revision int64) bool { return c.holds(revision, revision) }

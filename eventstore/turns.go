package eventstore

import "context"

// TurnTaker is an engine whose nodes can take turns at deciding. A node that has the turn decides
// on what the node before it has recorded, so its appends meet no conflict.
//
// A turn is only a help. Every append still expects the revisions of its streams, and a node that
// does not take turns does no harm. So do not wait for a turn for long: the node that has it may
// stand still.
type TurnTaker interface {
	// TakeTurn waits until no other node has the turn, for about a fifth of a second at most.
	// Before that it waits until this node has given back its own last turn. head is the position
	// of the log's last event at that moment. No event of an earlier turn is after it. Call
	// giveBack once, after the appends of this turn. It does not wait. The errors are that another
	// node kept the turn for too long, that ctx has ended, or that the log is away.
	TakeTurn(ctx context.Context) (head Position, giveBack func(), err error)
}

// TurnTakerOf returns the part of a store that takes turns. ok is false if the store cannot do
// that. A store in front of another one has a method TurnTaker, which tells whether the other store
// can do it.
func TurnTakerOf(store Store) (turns TurnTaker, ok bool) {
	if front, is := store.(interface{ TurnTaker() (TurnTaker, bool) }); is {
		return front.TurnTaker()
	}
	turns, ok = store.(TurnTaker)
	return turns, ok
}

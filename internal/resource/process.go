package resource

import "time"

// Process is work that spans aggregates and is not finished.
type Process struct {
	ID       string    `json:"id" format:"uuid" doc:"The same as long as the work is not finished, on every node."`
	Kind     string    `json:"kind" enum:"checkout,order,return,merge,event,timer" doc:"event: an event that cannot be read, so its consequences are unknown, or one that another program wrote into a stream of the shop's, which changes nothing. timer: a deadline that could not be kept."`
	State    string    `json:"state" enum:"open,parked,dismissed" doc:"open: it is being finished. parked: that failed. It is tried again when its stream has a new event, once an hour, and by POST /v1/processes/{id}/retry. dismissed: it is to be left as it is, and is tried again only when its stream has a new event or by its retry."`
	Subject  string    `json:"subject" doc:"The cart, the order, the return, the event's stream, or what has the deadline."`
	Step     string    `json:"step,omitempty" doc:"For a checkout: the order. For a return: what is open. For a merge: the cart that the lines go into. For an event: its type. For a timer: what is due."`
	Stream   string    `json:"stream" doc:"Where it was begun."`
	Revision int64     `json:"revision"`
	Position string    `json:"position"`
	Since    time.Time `json:"since" doc:"When that was recorded."`
	Reason   string    `json:"reason,omitempty" doc:"Why the last try failed."`
	Tries    int64     `json:"tries,omitzero"`
	// FirstTried and LastTried are of parked work.
	FirstTried time.Time `json:"first_tried_at,omitzero"`
	LastTried  time.Time `json:"last_tried_at,omitzero"`
	// These are of dismissed work.
	Dismissed       time.Time `json:"dismissed_at,omitzero"`
	DismissedBy     string    `json:"dismissed_by,omitempty"`
	DismissedReason string    `json:"dismissed_reason,omitempty"`
}

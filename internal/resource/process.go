package resource

import "time"

// Process is work that spans aggregates and is not finished.
type Process struct {
	ID       string    `json:"id" format:"uuid" doc:"The id of the work. Until the work is finished, it has this id on every node."`
	Kind     string    `json:"kind" enum:"checkout,order,return,refund,merge,customer_merge,event,timer" doc:"What the work belongs to. event: an event that this program cannot read, so its consequences are unknown, or an event that another program wrote into one of the shop's streams, where it changes nothing. timer: a deadline on which the program could not act."`
	State    string    `json:"state" enum:"open,parked,dismissed" doc:"open: the server is finishing the work. parked: the server tried and failed. It tries again when the work's stream has a new event, once an hour, and when you send POST /v1/processes/{id}/retry. dismissed: somebody decided to leave the work as it is. The server tries again only when the stream has a new event, or when you send the retry."`
	Subject  string    `json:"subject" doc:"What the work is about: the id of the cart, the order, the return or the customer, the stream of the event, or what has the deadline."`
	Step     string    `json:"step,omitempty" doc:"For a checkout: the id of its order. For a return: what is left to do. For a merge: the cart that the lines go into, or the account that answers from then on. For an event: its type. For a timer: what is due."`
	Stream   string    `json:"stream" doc:"The stream of the event that began the work. For a timer: the stream of what has the deadline."`
	Revision int64     `json:"revision"`
	Position string    `json:"position"`
	Since    time.Time `json:"since" doc:"When the event that began the work was recorded. For a timer: the deadline."`
	Reason   string    `json:"reason,omitempty" doc:"Why the last try failed."`
	Tries    int64     `json:"tries,omitzero"`
	// Only parked and dismissed work has FirstTried and LastTried.
	FirstTried time.Time `json:"first_tried_at,omitzero"`
	LastTried  time.Time `json:"last_tried_at,omitzero"`
	// Only dismissed work has these.
	Dismissed       time.Time `json:"dismissed_at,omitzero"`
	DismissedBy     string    `json:"dismissed_by,omitempty" class:"actor"`
	DismissedReason string    `json:"dismissed_reason,omitempty" class:"personal"`
}

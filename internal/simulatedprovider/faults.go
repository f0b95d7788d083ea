package simulatedprovider

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Fault is what goes wrong with a request. The zero value is that nothing does.
type Fault struct {
	Delay  time.Duration // before the request is carried out
	Refuse bool          // the request is not carried out (503)
	// Lose says that the request is carried out and its answer lost.
	Lose Loss
	// Decline says that the request is carried out and ends as failed, for this reason.
	Decline string
	// Pending says that a refund is pending for this time, and then ends.
	Pending time.Duration
}

// Loss is how an answer is lost.
type Loss int

// How an answer can be lost.
const (
	NotLost  Loss = iota
	LostLine      // the connection breaks
	LostLate      // nothing comes until the caller has gone, or for lateMax
	LostBad       // the answer is "500 Internal Server Error"
)

// Operations that can go wrong, as Options.Faults names them.
const (
	OpCreate  = "create"
	OpConfirm = "confirm"
	OpCapture = "capture"
	OpCancel  = "cancel"
	OpRefund  = "refund"
	OpDispute = "dispute"
	OpClose   = "close"
	OpRead    = "read"
)

// BadDays returns faults that a seed decides. rate is the part of the requests with which something
// goes wrong, 0 to 1. slow is the longest delay.
func BadDays(seed uint64, rate float64, slow time.Duration) func(operation string) Fault {
	random, lock := rand.New(rand.NewPCG(seed, 1)), sync.Mutex{}
	return func(operation string) (f Fault) {
		lock.Lock()
		defer lock.Unlock()
		if slow > 0 {
			f.Delay = time.Duration(random.Int64N(int64(slow)))
		}
		if random.Float64() >= rate {
			return f
		}
		switch kind := random.IntN(6); {
		case kind == 0 || operation == OpRead:
			f.Refuse = true
		case kind < 4:
			f.Lose = Loss(kind)
		case kind == 4 && operation == OpRefund:
			f.Pending = max(slow, time.Millisecond)
			if random.IntN(2) == 0 {
				f.Decline = "account_closed"
			}
		default:
			f.Decline = "declined"
		}
		return f
	}
}

// Shuffled returns times at which the copies of an event are sent: one or two, each after at most
// spread. So events come in any order.
func Shuffled(seed uint64, spread time.Duration) func() []time.Duration {
	random, lock := rand.New(rand.NewPCG(seed, 2)), sync.Mutex{}
	return func() []time.Duration {
		lock.Lock()
		defer lock.Unlock()
		times := make([]time.Duration, 1+random.IntN(2))
		for i := range times {
			times[i] = time.Duration(random.Int64N(int64(spread) + 1))
		}
		return times
	}
}

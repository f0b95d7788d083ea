package signin

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain/access"
	"daybook/domain/rule"
	"daybook/domain/staff"
	"daybook/eventstore"
)

// Failed tries are security events, but an event for each would let strangers fill the log. So they
// are counted for each person, and each count is recorded as one event, tallyFor after it began. A
// node that is killed loses the counts that it has not recorded yet. Nothing is counted for people
// who do not exist.
const (
	tallyFor = 15 * time.Minute
	// tallyEvery is how often Run looks for counts that are due.
	tallyEvery = 10 * time.Second
	// maxTallies bounds the counts that are not recorded yet. There can be very many customers, and
	// a stranger may know the addresses of many of them.
	maxTallies = 1000
)

// tried is what became of a try.
type tried int

const (
	wrongPassword tried = iota
	wrongCode
	delayed   // it was not compared, because too many had failed
	linkAsked // somebody has asked for a link
	triedKinds
)

// tally is how often something was tried in the name of a person.
type tally struct {
	person staff.PersonID
	id     string
	since  time.Time
	counts [triedKinds]int64
}

// tallies are the counts that are not recorded yet. There are at most maxTallies.
type tallies struct {
	now func() time.Time
	mu  *sync.Mutex
	by  map[staff.PersonID]tally
}

func newTallies(now func() time.Time) tallies {
	return tallies{now: now, mu: new(sync.Mutex), by: map[staff.PersonID]tally{}}
}

// add counts a try. It waits for nothing, and takes about the same time if there is no such person.
func (t tallies) add(id staff.PersonID, what tried) {
	t.mu.Lock()
	defer t.mu.Unlock()
	one, begun := t.by[id]
	if !begun && len(t.by) >= maxTallies {
		return
	}
	if !begun {
		one = tally{person: id, id: "n" + randomHex(5), since: t.now().UTC()}
	}
	one.counts[what]++
	if id != "" {
		t.by[id] = one
	}
}

func (t tallies) addIf(is bool, id staff.PersonID, what tried) {
	if is {
		t.add(id, what)
	}
}

// due returns the counts that are to be recorded now.
func (t tallies) due() (all []tally) {
	now := t.now()
	for _, one := range t.all() {
		if now.Sub(one.since) >= tallyFor {
			all = append(all, one)
		}
	}
	return all
}

func (t tallies) all() (all []tally) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for one := range maps.Values(t.by) {
		all = append(all, one)
	}
	return all
}

// recorded takes off what was recorded. What was tried meanwhile begins another count.
func (t tallies) recorded(done tally) {
	t.mu.Lock()
	defer t.mu.Unlock()
	one := t.by[done.person]
	if one.id != done.id {
		return
	}
	rest := int64(0)
	for what, count := range done.counts {
		one.counts[what] -= count
		rest += one.counts[what]
	}
	if rest == 0 {
		delete(t.by, done.person)
		return
	}
	one.id, one.since = "n"+randomHex(5), t.now().UTC()
	t.by[done.person] = one
}

// recordTallies records counts. A count that cannot be recorded stays for the next time.
func (d *Desk) recordTallies(ctx context.Context, all []tally) {
	who := access.System("sign-in") // whoever tried was not authenticated
	for _, one := range all {
		if ctx.Err() != nil {
			return
		}
		command := staff.CountTries{
			Person: one.person, Count: one.id, Since: one.since, Until: d.service.Now().UTC(),
			Passwords: one.counts[wrongPassword], Codes: one.counts[wrongCode], Delayed: one.counts[delayed], Links: one.counts[linkAsked],
		}
		call := commands.Call{Who: who, Meta: eventstore.Metadata{CommandID: uuid.New(), Actor: who.ID, Channel: "api"}}
		_, err := d.service.Staff(ctx, call, one.person, command)
		if _, refused := errors.AsType[*rule.Rejection](err); err != nil && !refused {
			d.logger.WarnContext(ctx, "failed tries cannot be recorded yet", "person_id", one.person, "error", err)
			continue
		}
		d.tallies.recorded(one)
	}
}

// Flush records what was counted until now. A node calls it when it stops.
func (d *Desk) Flush(ctx context.Context) error {
	d.recordTallies(ctx, d.tallies.all())
	return nil
}

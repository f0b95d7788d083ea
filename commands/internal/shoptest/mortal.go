package shoptest

import (
	"context"
	"errors"
	"sync"

	"daybook/eventstore"
)

// ErrDead is what a Mortal returns when its node is dead, unless it has another error.
var ErrDead = errors.New("the node is dead")

// Mortal is the store of a node that dies. Left is how many appends it still takes. The last of
// them is recorded, but the node gets an error. After that it takes none.
type Mortal struct {
	eventstore.Store
	Left  int
	Error error // ErrDead if nil

	mu sync.Mutex
}

// Append implements eventstore.Store.
func (m *Mortal) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (result eventstore.Result, err error) {
	err = m.live(func() error {
		result, err = m.Store.Append(ctx, stream, expected, events)
		return err
	})
	if err != nil {
		return eventstore.Result{}, err
	}
	return result, nil
}

// LiveOn lets the node make more appends.
func (m *Mortal) LiveOn(appends int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Left += appends
}

// live makes an append, as long as the node lives.
func (m *Mortal) live(doAppend func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Left--
	if m.Left >= 0 {
		if err := doAppend(); err != nil || m.Left > 0 {
			return err
		}
	}
	if m.Error != nil {
		return m.Error
	}
	return ErrDead
}

// MortalGroups is a Mortal that can append to several streams at once. Such an append counts as
// one.
type MortalGroups struct{ Mortal }

// AppendAll implements eventstore.MultiAppender.
func (m *MortalGroups) AppendAll(ctx context.Context, writes []eventstore.Write) (results []eventstore.Result, err error) {
	all, _ := eventstore.MultiAppenderOf(m.Store)
	err = m.live(func() error {
		results, err = all.AppendAll(ctx, writes)
		return err
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

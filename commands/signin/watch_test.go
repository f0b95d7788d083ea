package signin

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/domain/access"
)

// countedSessions is a store that counts how often a session is read.
type countedSessions struct {
	*Memory
	read atomic.Int64
}

func (c *countedSessions) Session(ctx context.Context, hash string) (*Session, error) {
	c.read.Add(1)
	return c.Memory.Session(ctx, hash)
}

// All long requests of a session end with it, and one check is for all of them. Those of another
// session of the same person go on.
func TestLongRequestsOfASessionAreCheckedTogether(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	store := &countedSessions{Memory: NewMemory()}
	o.Desk = New(commands.NewService(o.log, commands.DefaultPolicy(), o.service.Now, aggregate.Options{}), Options{Store: store, Cost: Cost{Passes: 1, MemoryKiB: 64}})
	o.hire("eve@shop.example", access.Auditor)
	first, second := o.mustSignIn("eve@shop.example"), o.mustSignIn("eve@shop.example")
	who, err := o.Authenticate(t.Context(), first.Token)
	if err != nil {
		t.Fatal(err)
	}
	other, err := o.Authenticate(t.Context(), second.Token)
	if err != nil {
		t.Fatal(err)
	}
	goesOn, stop := o.While(t.Context(), other)
	defer stop()
	before := store.read.Load()
	const many = 200
	var requests []context.Context
	for range many {
		ctx, stop := o.While(t.Context(), who)
		defer stop()
		requests = append(requests, ctx)
	}
	if err := o.EndSession(t.Context(), PersonOf(who), first.Session.ID); err != nil {
		t.Fatal(err)
	}
	for _, ctx := range requests {
		<-ctx.Done()
		if cause := context.Cause(ctx); !errors.Is(cause, ErrSessionEnded) {
			t.Errorf("a request ended with %v", cause)
		}
	}
	if checks := store.read.Load() - before; checks >= many {
		t.Errorf("%d checks for %d requests", checks, many)
	}
	if goesOn.Err() != nil {
		t.Error("a request of another session has ended")
	}
}

// A session is not checked any more when its long requests have stopped.
func TestASessionIsCheckedOnlyWhileItHasLongRequests(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.hire("eve@shop.example", access.Auditor)
	who, err := o.Authenticate(t.Context(), o.mustSignIn("eve@shop.example").Token)
	if err != nil {
		t.Fatal(err)
	}
	_, stopFirst := o.While(t.Context(), who)
	ctx, stopSecond := o.While(t.Context(), who)
	stopFirst()
	if err := o.SignOut(t.Context(), who); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done() // it is still checked
	stopSecond()
	stopSecond() // has no effect
	if left := len(o.watches.by); left != 0 {
		t.Errorf("%d sessions are checked", left)
	}
}

package kurrentdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"daybook/eventstore"
)

// An error says the same about an append, whether it is wrapped or not.
func TestAppendErrors(t *testing.T) {
	code := func(c codes.Code) error { return status.Error(c, "said by the server") }
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"nothing was sent":         {&unsent{errBusy}, "*eventstore.UnavailableError"},
		"the connection was lost":  {&brokenOff{code(codes.Unavailable)}, "*eventstore.OutcomeUnknownError"},
		"the reason was lost":      {io.EOF, "*eventstore.OutcomeUnknownError"},
		"no answer":                {&noAnswer{errTimeout}, "*eventstore.OutcomeUnknownError"},
		"recorded, not looked at":  {&notRead{&unsent{errBusy}}, "*eventstore.OutcomeUnknownError"},
		"the client panicked":      {&clientPanic{"x"}, "*eventstore.OutcomeUnknownError"},
		"a write that timed out":   {code(codes.Aborted), "*eventstore.OutcomeUnknownError"},
		"canceled":                 {code(codes.Canceled), "*eventstore.OutcomeUnknownError"},
		"too late":                 {code(codes.DeadlineExceeded), "*eventstore.OutcomeUnknownError"},
		"anything else":            {errors.New("x"), "*eventstore.OutcomeUnknownError"},
		"a leader not named":       {code(codes.NotFound), "*eventstore.UnavailableError"},
		"overloaded":               {code(codes.ResourceExhausted), "*eventstore.UnavailableError"},
		"another revision":         {code(codes.FailedPrecondition), "*eventstore.ConflictError"},
		"a stale node's refusal":   {&behind{code(codes.FailedPrecondition)}, "*eventstore.ConflictError"},
		"an id recorded elsewhere": {code(codes.AlreadyExists), "*eventstore.DuplicateEventError"},
		"not taken":                {code(codes.InvalidArgument), "*eventstore.InvalidError"},
	} {
		for _, err := range []error{c.err, fmt.Errorf("wrapped: %w", fmt.Errorf("twice: %w", c.err))} {
			got := appendError(t.Context(), "a", eventstore.NoStream, []eventstore.Event{{ID: uuid.New()}}, err)
			if kind := fmt.Sprintf("%T", got); kind != c.want {
				t.Errorf("%s: %s (%v), want %s", name, kind, got, c.want)
			}
		}
	}
}

// Some errors show that the connection does not work any more.
func TestErrorsThatEndAConnection(t *testing.T) {
	for name, c := range map[string]struct {
		err      error
		gone     bool // the connection is given up at once, with all calls that are under way on it
		replaced bool
	}{
		"unavailable":    {&brokenOff{status.Error(codes.Unavailable, "")}, true, true},
		"an early end":   {fmt.Errorf("send: %w", io.EOF), true, true},
		"behind":         {&behind{errNotThere}, false, true},
		"not the leader": {status.Error(codes.NotFound, ""), true, true},
		"a conflict":     {status.Error(codes.FailedPrecondition, ""), false, false},
		"no answer":      {&noAnswer{errTimeout}, false, false}, // the supervisor checks the connection first
		"no right":       {status.Error(codes.PermissionDenied, ""), false, false},
	} {
		conn := newConnection(esdb.Configuration{}, 1, slog.New(slog.DiscardHandler))
		conn.learn(c.err)
		if gone, replaced := conn.ctx.Err() != nil, conn.use.Err() != nil; gone != c.gone || replaced != c.replaced {
			t.Errorf("%s: given up: %t, replaced: %t; want %t and %t", name, gone, replaced, c.gone, c.replaced)
		}
		conn.drop(nil)
	}
}

func TestDuplicateNamesTheEvent(t *testing.T) {
	id := uuid.New()
	reply, err := status.New(codes.AlreadyExists, "x").WithDetails(&errdetails.ErrorInfo{
		Reason: "duplicate-event-id", Metadata: map[string]string{"event-id": id.String()},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := appendError(t.Context(), "a", eventstore.NoStream, []eventstore.Event{{ID: uuid.New()}, {ID: id}}, reply.Err())
	if duplicate, ok := errors.AsType[*eventstore.DuplicateEventError](got); !ok || duplicate.ID != id || duplicate.Stream != "a" {
		t.Errorf("error %v, want a DuplicateEventError of %s", got, id)
	}
}

// If there are several hosts, waiting is hopeless only if every one of them has a fault that stays.
func TestOneBadHostIsNotHopeless(t *testing.T) {
	bad, later := fmt.Errorf("%w: %q", errAddress, "fe80::1%eth0"), errNoLeader
	for _, c := range []struct {
		errs     refusals
		hopeless bool
	}{
		{refusals{bad, bad}, true},
		{refusals{bad, later}, false},
		{refusals{later, bad}, false},
		{refusals{later, later}, false},
	} {
		if hint, hopeless := diagnosis(c.errs); hopeless != c.hopeless || hint == "" {
			t.Errorf("%v: %q, hopeless: %t, want %t", c.errs, hint, hopeless, c.hopeless)
		}
	}
}

// If one name stands for a cluster, each address of the name is asked.
func TestTheHostsToAsk(t *testing.T) {
	lookup := func(_ context.Context, name string) ([]string, error) {
		if name != "cluster.example" {
			return nil, errors.New("no such host")
		}
		return []string{"10.0.0.1", "::2"}, nil
	}
	for url, want := range map[string]string{
		"esdb://a:1,b:2":                     "[a:1 b:2] ",
		"esdb+discover://a:1,b:2":            "[a:1 b:2] ",
		"esdb+discover://cluster.example:99": "[10.0.0.1:99 [::2]:99] cluster.example",
		"esdb+discover://cluster.example":    "[10.0.0.1:2113 [::2]:2113] cluster.example",
		"esdb+discover://other.example":      "the cluster's name: no such host",
	} {
		config, err := parse(url)
		if err != nil {
			t.Fatal(err)
		}
		asked, name, err := hosts(t.Context(), config, lookup)
		got := fmt.Sprint(asked, " ", name)
		if err != nil {
			got = err.Error()
		}
		if got != want || !clustered(config) {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
}

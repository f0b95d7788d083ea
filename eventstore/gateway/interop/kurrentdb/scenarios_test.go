// Code generated from ../scenarios_test.go by go test -update. DO NOT EDIT.

package kurrentdb_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/kurrent-io/KurrentDB-Client-Go/kurrentdb"
)

// scenarioMax is how long a scenario may take; all of them together take a few
// seconds.
const scenarioMax = 20 * time.Second

// everything is the count of a read that has no limit.
const everything = math.MaxInt64

// addresses are where the gateways of the test are, as connection strings.
type addresses struct {
	Plain    string // a node that leads, no TLS, so no credentials
	Follower string // another node of its cluster; empty if there is none
	Seeds    string // both among several, one of which is dead
	Discover string // a node, to be asked for its cluster
	// Secure is a host, a port and parameters: credentials@ may go before it.
	Secure string
}

// scenario is one thing every official client must be able to do.
type scenario struct {
	name string
	run  func(*testing.T, *session)
}

func scenarios(at addresses) []scenario {
	var all []scenario
	for _, group := range [][]scenario{
		appending(), reading(), deleting(), keeping(), subscribing(), persisting(), connecting(),
	} {
		all = append(all, group...)
	}
	if at.Follower != "" {
		all = append(all, scenario{"not-leader", notLeader})
	}
	return all
}

// runScenarios prints a line, as TAP has it, for each scenario that has passed,
// and returns their names.
func runScenarios(t *testing.T, at addresses, list []scenario) (passed []string) {
	for i, s := range list {
		t.Run(s.name, func(t *testing.T) {
			watchdog := time.AfterFunc(scenarioMax+5*time.Second, func() {
				panic(fmt.Sprintf("the client hangs in scenario %s", s.name))
			})
			defer watchdog.Stop()
			ctx, cancel := context.WithTimeout(t.Context(), scenarioMax)
			defer cancel()
			own := &session{ctx: ctx, at: at, name: s.name + "-" + uuid.NewString()[:8]}
			own.Client = own.dial(t, at.Plain)
			s.run(t, own)
			if !t.Failed() {
				passed = append(passed, s.name)
				fmt.Printf("ok %d - %s\n", i+1, s.name)
			}
		})
	}
	return passed
}

// session is what a scenario works with: a client of its own and a name that
// no other has, from which it makes its streams, types and groups.
type session struct {
	*kurrentdb.Client
	ctx  context.Context
	at   addresses
	name string
}

func (s *session) dial(t *testing.T, address string) *kurrentdb.Client {
	t.Helper()
	config, err := kurrentdb.ParseConnectionString(address)
	if err != nil {
		t.Fatalf("connection string %s: %v", address, err)
	}
	config.Logger = kurrentdb.NoopLogging()
	client, err := kurrentdb.NewClient(config)
	if err != nil {
		t.Fatalf("connect to %s: %v", address, err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// events makes events with ids of their own; their data tells them apart.
func events(eventType string, count int) []kurrentdb.EventData {
	made := make([]kurrentdb.EventData, count)
	for i := range made {
		made[i] = kurrentdb.EventData{
			EventID:     uuid.New(),
			EventType:   eventType,
			ContentType: kurrentdb.ContentTypeJson,
			Data:        fmt.Appendf(nil, `{"number": %d}`, i),
		}
	}
	return made
}

// append appends what must be accepted.
func (s *session) append(t *testing.T, stream string, expected kurrentdb.StreamState, added ...kurrentdb.EventData) *kurrentdb.WriteResult {
	t.Helper()
	result, err := s.AppendToStream(s.ctx, stream, kurrentdb.AppendToStreamOptions{StreamState: expected}, added...)
	if err != nil {
		t.Fatalf("append to %s expecting %#v: %v", stream, expected, err)
	}
	return result
}

// read reads what must be readable.
func (s *session) read(t *testing.T, stream string, options kurrentdb.ReadStreamOptions, count uint64) []*kurrentdb.ResolvedEvent {
	t.Helper()
	all, err := s.tryRead(stream, options, count)
	if err != nil {
		t.Fatalf("read %s: %v", stream, err)
	}
	return all
}

func (s *session) tryRead(stream string, options kurrentdb.ReadStreamOptions, count uint64) ([]*kurrentdb.ResolvedEvent, error) {
	return collect(s.ReadStream(s.ctx, stream, options, count))
}

func (s *session) readAll(t *testing.T, options kurrentdb.ReadAllOptions, count uint64) []*kurrentdb.ResolvedEvent {
	t.Helper()
	all, err := collect(s.ReadAll(s.ctx, options, count))
	if err != nil {
		t.Fatalf("read $all: %v", err)
	}
	return all
}

func collect(stream *kurrentdb.ReadStream, err error) ([]*kurrentdb.ResolvedEvent, error) {
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	var all []*kurrentdb.ResolvedEvent
	for {
		event, err := stream.Recv()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return all, err
		}
		all = append(all, event)
	}
}

// eventually asks until the answer is yes, for what the client cannot wait for.
func (s *session) eventually(t *testing.T, what string, isSo func() bool) {
	t.Helper()
	often := time.NewTicker(20 * time.Millisecond)
	defer often.Stop()
	for !isSo() {
		select {
		case <-often.C:
		case <-s.ctx.Done():
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

func wantCode(t *testing.T, what string, err error, want kurrentdb.ErrorCode) {
	t.Helper()
	found, ok := errors.AsType[*kurrentdb.Error](err)
	if !ok || found.Code() != want {
		t.Fatalf("%s: error %v, want code %d", what, err, want)
	}
}

func wantRevisions(t *testing.T, got []*kurrentdb.ResolvedEvent, want ...uint64) {
	t.Helper()
	revisions := make([]uint64, len(got))
	for i, event := range got {
		if event.OriginalEvent() == nil {
			t.Fatalf("event %d of %d holds nothing", i, len(got))
		}
		revisions[i] = event.OriginalEvent().EventNumber
	}
	if fmt.Sprint(revisions) != fmt.Sprint(want) {
		t.Fatalf("revisions %d, want %d", revisions, want)
	}
}

func position(r *kurrentdb.WriteResult) kurrentdb.Position {
	return kurrentdb.Position{Commit: r.CommitPosition, Prepare: r.PreparePosition}
}

package interop_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

// scenarioMax is how long a scenario may take; all of them together take a few
// seconds.
const scenarioMax = 20 * time.Second

// everything is the count for a read without a limit.
const everything = math.MaxInt64

// addresses are where the gateways of the test are, as connection strings.
type addresses struct {
	Plain    string // a node that leads, without TLS and so without credentials
	Follower string // another node of its cluster; empty if there is none
	Seeds    string // both nodes among several addresses; nothing answers at one of them
	Discover string // a node that can be asked for its cluster
	// Secure is a host, a port and parameters: credentials@ may go before it.
	Secure string
}

// scenario is one thing that every official client must be able to do.
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

// session has what a scenario needs: a client of its own, and a unique name, from which it makes
// the names of its streams, types and groups.
type session struct {
	*esdb.Client
	ctx  context.Context
	at   addresses
	name string
}

func (s *session) dial(t *testing.T, address string) *esdb.Client {
	t.Helper()
	config, err := esdb.ParseConnectionString(address)
	if err != nil {
		t.Fatalf("connection string %s: %v", address, err)
	}
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	if err != nil {
		t.Fatalf("connect to %s: %v", address, err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// events makes events with ids of their own; their data tells them apart.
func events(eventType string, count int) []esdb.EventData {
	made := make([]esdb.EventData, count)
	for i := range made {
		made[i] = esdb.EventData{
			EventID:     uuid.New(),
			EventType:   eventType,
			ContentType: esdb.ContentTypeJson,
			Data:        fmt.Appendf(nil, `{"number": %d}`, i),
		}
	}
	return made
}

// append appends events that must be accepted.
func (s *session) append(t *testing.T, stream string, expected esdb.ExpectedRevision, added ...esdb.EventData) *esdb.WriteResult {
	t.Helper()
	result, err := s.AppendToStream(s.ctx, stream, esdb.AppendToStreamOptions{ExpectedRevision: expected}, added...)
	if err != nil {
		t.Fatalf("append to %s expecting %#v: %v", stream, expected, err)
	}
	return result
}

// read reads a stream, which must succeed.
func (s *session) read(t *testing.T, stream string, options esdb.ReadStreamOptions, count uint64) []*esdb.ResolvedEvent {
	t.Helper()
	all, err := s.tryRead(stream, options, count)
	if err != nil {
		t.Fatalf("read %s: %v", stream, err)
	}
	return all
}

func (s *session) tryRead(stream string, options esdb.ReadStreamOptions, count uint64) ([]*esdb.ResolvedEvent, error) {
	return collect(s.ReadStream(s.ctx, stream, options, count))
}

func (s *session) readAll(t *testing.T, options esdb.ReadAllOptions, count uint64) []*esdb.ResolvedEvent {
	t.Helper()
	all, err := collect(s.ReadAll(s.ctx, options, count))
	if err != nil {
		t.Fatalf("read $all: %v", err)
	}
	return all
}

func collect(stream *esdb.ReadStream, err error) ([]*esdb.ResolvedEvent, error) {
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	var all []*esdb.ResolvedEvent
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

// eventually asks until the answer is yes. It is for things that the client cannot wait for.
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

func wantCode(t *testing.T, what string, err error, want esdb.ErrorCode) {
	t.Helper()
	found, ok := errors.AsType[*esdb.Error](err)
	if !ok || found.Code() != want {
		t.Fatalf("%s: error %v, want code %d", what, err, want)
	}
}

func wantRevisions(t *testing.T, got []*esdb.ResolvedEvent, want ...uint64) {
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

func position(r *esdb.WriteResult) esdb.Position {
	return esdb.Position{Commit: r.CommitPosition, Prepare: r.PreparePosition}
}

package main

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"daybook/eventstore"
	"daybook/eventstore/gateway"
	"daybook/eventstore/memory"
)

// blocking is a log whose appends wait.
type blocking struct {
	eventstore.Store
	begun, release chan struct{}
}

func (b *blocking) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	close(b.begun)
	<-b.release
	return b.Store.Append(ctx, stream, expected, events)
}

// Another node can serve the groups of consumers while calls on this node have not ended yet.
func TestANodeLeavesBeforeItsCallsHaveEnded(t *testing.T) {
	t.Parallel()
	log := &blocking{Store: memory.New(), begun: make(chan struct{}), release: make(chan struct{})}
	server, err := gateway.New(log, gateway.Options{})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	left := make(chan struct{})
	g := &openGateway{listener: listener, server: server, leave: func() { close(left) }}
	served := make(chan error, 1)
	go func() { served <- g.server.Serve(g.listener) }()
	client := dialGateway(t, g.url())
	appended := make(chan error, 1)
	go func() {
		_, err := client.AppendToStream(t.Context(), "notes", esdb.AppendToStreamOptions{}, note(1))
		appended <- err
	}()
	<-log.begun

	hangs, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	closed := make(chan error, 1)
	go func() { closed <- g.close(t.Context()) }()
	select {
	case <-left:
	case err := <-closed:
		t.Fatalf("closed before the node has left: %v", err)
	case <-hangs.Done():
		t.Fatal("the node does not leave")
	}
	close(log.release)
	if err := errors.Join(<-appended, <-closed, <-served); err != nil {
		t.Error(err)
	}
}

// A gateway that never served gives up its place among the nodes, too.
func TestANodeLeavesThatNeverServed(t *testing.T) {
	t.Parallel()
	server, err := gateway.New(memory.New(), gateway.Options{})
	if err != nil {
		t.Fatal(err)
	}
	left := false
	g := &openGateway{server: server, leave: func() { left = true }}
	if err := g.close(t.Context()); err != nil || !left {
		t.Errorf("left: %t, error %v", left, err)
	}
}

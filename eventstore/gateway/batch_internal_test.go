package gateway

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"daybook/eventstore/memory"
)

// unanswerable is a call of BatchAppend over which nothing can be answered.
type unanswerable struct {
	grpc.ServerStream
	ctx    context.Context
	frames chan *streams.BatchAppendReq
}

var errUnanswerable = errors.New("no answer")

func (u unanswerable) Context() context.Context            { return u.ctx }
func (u unanswerable) Send(*streams.BatchAppendResp) error { return errUnanswerable }

func (u unanswerable) Recv() (*streams.BatchAppendReq, error) {
	select {
	case frame := <-u.frames:
		return frame, nil
	case <-u.ctx.Done():
		return nil, u.ctx.Err()
	}
}

// An answer that cannot be sent ends the call: its client would wait for ever.
func TestAnAnswerThatCannotBeSentEndsTheBatch(t *testing.T) {
	t.Parallel()
	server, err := New(memory.New(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	call := unanswerable{ctx: ctx, frames: make(chan *streams.BatchAppendReq, 1)}
	call.frames <- &streams.BatchAppendReq{
		CorrelationId: &shared.UUID{Value: &shared.UUID_String_{String_: uuid.NewString()}},
		Options: &streams.BatchAppendReq_Options{
			StreamIdentifier:       &shared.StreamIdentifier{StreamName: []byte("a")},
			ExpectedStreamPosition: &streams.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}},
		},
		IsFinal: true,
	}
	if err := server.BatchAppend(call); !errors.Is(err, errUnanswerable) {
		t.Errorf("the call ended with %v", err)
	}
}

package gateway

import (
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc/encoding"
	"google.golang.org/protobuf/proto"
)

// A message to a client that does not read takes only the memory that it needs.
func TestAMessageTakesItsOwnSize(t *testing.T) {
	t.Parallel()
	c := codec{encoding.GetCodecV2("proto")}
	message := &shared.StreamIdentifier{StreamName: make([]byte, 60<<10)}
	buffers, err := c.Marshal(message)
	if err != nil || len(buffers) != 1 {
		t.Fatalf("%d buffers, %v", len(buffers), err)
	}
	if size := cap(buffers[0].ReadOnlyData()); size > 80<<10 {
		t.Errorf("60 KiB take %d bytes", size)
	}
	var read shared.StreamIdentifier
	if err := c.Unmarshal(buffers, &read); err != nil || !proto.Equal(&read, message) {
		t.Errorf("it is read as another: %v", err)
	}
}

package gateway

import (
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// codec sends messages from memory of their own size. gRPC uses buffers of 1 MiB for messages
// of more than 32 KiB, and a client that does not read would hold them.
type codec struct{ encoding.CodecV2 }

func (c codec) Marshal(value any) (mem.BufferSlice, error) {
	message, ok := value.(proto.Message)
	if !ok {
		return c.CodecV2.Marshal(value)
	}
	data, err := proto.Marshal(message)
	return mem.BufferSlice{mem.SliceBuffer(data)}, err
}

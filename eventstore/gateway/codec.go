package gateway

import (
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// codec sends messages from memory of their own size. gRPC's own buffers are of
// 1 MiB for what has more than 32 KiB, and stay with who does not read.
type codec struct{ encoding.CodecV2 }

func (c codec) Marshal(value any) (mem.BufferSlice, error) {
	message, ok := value.(proto.Message)
	if !ok {
		return c.CodecV2.Marshal(value)
	}
	data, err := proto.Marshal(message)
	return mem.BufferSlice{mem.SliceBuffer(data)}, err
}

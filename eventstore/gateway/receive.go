package gateway

import (
	zip "compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/gzip" // which also makes gRPC let such calls through
	"google.golang.org/grpc/mem"
)

const (
	messageHeader = 5        // bytes: a flag, and the length of what follows
	messageCost   = 1 << 10  // bytes that the smallest message counts towards the budget
	unpackCost    = 64 << 10 // bytes that decompressing a message takes, in addition to the message
	skipPiece     = 32 << 10
	// A message that is too large for an append is read and dropped, up to this size. The Go
	// clients show a refusal only after everything was read from them.
	skipMax = 17 << 20
)

// wire is where a call's messages are read from. The streams of gRPC's transport have these
// methods (see triedGRPC). gRPC's RecvMsg is not used, because it reads a whole message
// before the gateway can check whether there is memory for it.
type wire interface {
	ReadMessageHeader(header []byte) error
	Read(n int) (mem.BufferSlice, error)
	// RecvCompress names the compression of the messages that are marked as compressed.
	RecvCompress() string
}

// triedGRPC is the version of gRPC whose streams are known to have the methods of wire. These
// methods belong to an internal type, which another version may change.
const triedGRPC = "1.83.2"

var errNoWire = fail(codes.Internal, fmt.Sprintf(
	"the gateway cannot read messages with version %s of gRPC: it was tried with %s", grpc.Version, triedGRPC))

// tooLargeError means that a message is over the limit and was not kept. past means that it
// was read to its end, so the call can go on.
type tooLargeError struct {
	size, limit int
	past        bool
}

func (e *tooLargeError) Error() string {
	return fmt.Sprintf("a message of %d bytes is over the limit of %d", e.size, e.limit)
}

// call is what the node keeps about one call.
type call struct {
	budget   *semaphore.Weighted // the node's budget for bytes that were received and are still in use
	roomTime time.Duration
	mu       sync.Mutex
	held     int64 // bytes of the last message
	over     bool
}

type callKey struct{}

// kept is how many bytes the budget counts for the last message of the call of ctx. From then
// on, the caller must release them. Without a call of kept, they are released when the next
// message is received, or when the call ends.
func kept(ctx context.Context) int64 {
	c, ok := ctx.Value(callKey{}).(*call)
	if !ok {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	bytes := c.held
	c.held = 0
	return bytes
}

// hold waits until the budget has space for a message.
func (c *call) hold(ctx context.Context, bytes int64) error {
	if !c.budget.TryAcquire(bytes) {
		waiting, cancel := context.WithTimeout(ctx, c.roomTime)
		defer cancel()
		if c.budget.Acquire(waiting, bytes) != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fail(codes.Unavailable, "the node holds as many received bytes as it may: try again later")
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over { // the message comes too late for its call
		c.budget.Release(bytes)
		return context.Canceled
	}
	c.held += bytes
	return nil
}

// release gives back what the last message held.
func (c *call) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.budget.Release(c.held)
	c.held = 0
}

func (c *call) end() {
	c.release()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
}

// openStream is a stream whose context knows the caller. It waits no longer than that context
// and the server live, and it bounds what is received.
type openStream struct {
	grpc.ServerStream
	ctx    context.Context
	server *Server
	call   *call
	// skips says that messages which are too large are read and dropped.
	skips   bool
	started bool // the first message has begun
}

func (s *openStream) Context() context.Context { return s.ctx }

// RecvMsg receives a message. The time is bounded for the first message of a call, and for a
// message that has begun.
func (s *openStream) RecvMsg(message any) error {
	s.call.release()
	received := make(chan error, 3) // the result, and up to two reports that it took too long
	var late *time.Timer
	if !s.started {
		s.started = true
		within := s.server.limits.FirstMessageTime
		late = time.AfterFunc(within, func() {
			received <- fail(codes.DeadlineExceeded, fmt.Sprintf("the first message did not come within %s", within))
		})
	}
	go func() { received <- s.receive(message, late, received) }() // until the call is over
	select {
	case err := <-received:
		return err
	case <-s.ctx.Done():
		return s.ctx.Err()
	case <-s.server.closing.Done():
		return errClosing
	}
}

// receive reads the header of a message, waits until the budget has space, and reads the
// rest.
func (s *openStream) receive(message any, late *time.Timer, failed chan<- error) error {
	from, next, err := s.begin()
	if late != nil {
		late.Stop()
	}
	if err != nil {
		return err
	}
	within := s.server.limits.MessageTime
	slow := time.AfterFunc(within, func() {
		failed <- fail(codes.DeadlineExceeded, fmt.Sprintf("a message did not arrive completely within %s", within))
	})
	defer slow.Stop()
	limit := s.server.limits.MaxMessage
	if next.length > limit {
		past := s.skips && next.length <= skipMax
		if past {
			err = skip(from, next.length)
		}
		return errors.Join(err, &tooLargeError{size: next.length, limit: limit, past: past && err == nil})
	}
	if err := s.call.hold(s.ctx, int64(next.length)+messageCost); err != nil {
		return err
	}
	data, err := from.Read(next.length)
	if err != nil {
		return cutShort(err)
	}
	defer func() { data.Free() }()
	if next.packed {
		packed := data
		defer packed.Free()
		if data, err = s.unpack(packed, limit); err != nil {
			return err
		}
	}
	if err := encoding.GetCodecV2("proto").Unmarshal(data, message); err != nil {
		return fail(codes.InvalidArgument, fmt.Sprintf("the message cannot be decoded: %v", err))
	}
	return nil
}

// messageAhead is what is known of a message before it is read.
type messageAhead struct {
	length int
	packed bool // by gzip
}

// begin reads the header of the next message. io.EOF means that the caller has sent
// everything.
func (s *openStream) begin() (wire, messageAhead, error) {
	from, ok := grpc.ServerTransportStreamFromContext(s.ctx).(wire)
	if !ok {
		return nil, messageAhead{}, errNoWire
	}
	var header [messageHeader]byte
	if err := from.ReadMessageHeader(header[:]); err != nil {
		return nil, messageAhead{}, err
	}
	next := messageAhead{length: int(binary.BigEndian.Uint32(header[1:])), packed: header[0] == 1}
	if header[0] > 1 || next.packed && from.RecvCompress() != gzip.Name {
		return nil, next, fail(codes.Internal, "a message is marked as compressed, but the call does not say how")
	}
	return from, next, nil
}

// unpack decompresses a message. Its last four bytes say how large it becomes. That size is
// checked against the limit and taken from the budget before anything is decompressed. More
// bytes than that are never produced.
func (s *openStream) unpack(packed mem.BufferSlice, limit int) (mem.BufferSlice, error) {
	size := packedSize(packed)
	if size > limit {
		return nil, &tooLargeError{size: size, limit: limit, past: true}
	}
	if err := s.call.hold(s.ctx, int64(size)+unpackCost); err != nil {
		return nil, err
	}
	from := packed.Reader()
	reader, err := zip.NewReader(from)
	if err != nil {
		return nil, notPacked(err)
	}
	reader.Multistream(false)
	data := make([]byte, size, size+1)
	if _, err := io.ReadFull(reader, data); err != nil {
		return nil, notPacked(err)
	}
	switch n, err := reader.Read(data[size : size+1]); {
	case n > 0:
		return nil, notPacked(fmt.Errorf("it decompresses to more than the %d bytes that it announces", size))
	case !errors.Is(err, io.EOF):
		return nil, notPacked(err)
	case from.Remaining() > 0:
		return nil, notPacked(fmt.Errorf("%d bytes follow the compressed data", from.Remaining()))
	}
	return mem.BufferSlice{mem.SliceBuffer(data)}, nil
}

// packedSize is the size that a message says it has when it is decompressed.
func packedSize(packed mem.BufferSlice) int {
	var last [4]byte // of the bytes so far
	for _, buffer := range packed {
		data := buffer.ReadOnlyData()
		if len(data) >= len(last) {
			copy(last[:], data[len(data)-len(last):])
			continue
		}
		copy(last[:], last[len(data):])
		copy(last[len(last)-len(data):], data)
	}
	return int(binary.LittleEndian.Uint32(last[:]))
}

func notPacked(err error) error {
	return fail(codes.InvalidArgument, fmt.Sprintf("the message is not valid gzip: %v", err))
}

// skip reads past a message. It keeps only one piece of the message in memory at a time.
func skip(from wire, length int) error {
	for length > 0 {
		piece := min(length, skipPiece)
		data, err := from.Read(piece)
		if err != nil {
			return cutShort(err)
		}
		data.Free()
		length -= piece
	}
	return nil
}

// cutShort is the error of a message that ended before its length.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) {
		return fail(codes.Internal, "a message was cut short")
	}
	return err
}

// drain reads and drops what the caller of a refused append still sends. If the Go clients
// got the refusal earlier, they would take it for the end of the connection. It does so for
// few calls at a time and for a short time, because every client can cause it.
func (s *Server) drain(stream grpc.ServerStream) {
	if !s.hearing.TryAcquire(1) {
		return
	}
	defer s.hearing.Release(1)
	heard := make(chan struct{})
	go func() { // until the call is over
		defer close(heard)
		caller := &openStream{ServerStream: stream, ctx: stream.Context(), server: s}
		for left := skipMax; left > 0; {
			from, next, err := caller.begin()
			if left -= next.length + messageHeader; err != nil || left < 0 || skip(from, next.length) != nil {
				return
			}
		}
	}()
	limit := time.NewTimer(drainMax)
	defer limit.Stop()
	select {
	case <-heard:
	case <-limit.C:
	case <-s.closing.Done():
	}
}

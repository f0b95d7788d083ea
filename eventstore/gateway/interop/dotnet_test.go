package interop_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	tlscredentials "google.golang.org/grpc/credentials"
	grpcmetadata "google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"daybook/eventstore/gateway"
)

// What the official clients for .NET need and the others do not: their processes
// compile their TLS code when they connect first, and they tell errors by other marks.
// The calls here are those they make.
func TestWhatADotNETClientNeeds(t *testing.T) {
	t.Parallel()
	d := serveDotNET(t)
	t.Run("a handshake that takes 6 s is served", d.slowHandshake)
	t.Run("600 handshakes at once are not all held", d.manyHandshakes)
	t.Run("no credentials is access denied", d.noCredentials)
	t.Run("a type of 300 bytes is written and read", d.longType)
	t.Run("too many events says so", d.tooManyEvents)
}

// dotNET is a gateway with TLS and users, and how to come to it.
type dotNET struct {
	address string
	trust   *tls.Config
}

func serveDotNET(t *testing.T) *dotNET {
	t.Helper()
	certificate, authority := certify(t)
	pem, err := os.ReadFile(authority)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(pem)
	return &dotNET{
		address: start(t, inPostgres(t), listen(t), gateway.Options{
			Users: twoUsers{},
			TLS:   &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
		}),
		trust: &tls.Config{RootCAs: trusted, ServerName: "localhost", MinVersion: tls.VersionTLS12},
	}
}

// connect is a connection whose bytes go through wrap, which may be nil.
func (d *dotNET) connect(t *testing.T, wrap func(net.Conn) net.Conn) *grpc.ClientConn {
	t.Helper()
	dial := func(ctx context.Context, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil && wrap != nil {
			conn = wrap(conn)
		}
		return conn, err
	}
	conn, err := grpc.NewClient("passthrough:///"+d.address, grpc.WithTransportCredentials(tlscredentials.NewTLS(d.trust)), grpc.WithContextDialer(dial))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// asWriter is the context of a call with credentials; it ends after a while.
func asWriter(t *testing.T) context.Context {
	t.Helper()
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(writer+":"+password))
	return grpcmetadata.AppendToOutgoingContext(anonymously(t), "authorization", basic)
}

func anonymously(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), scenarioMax)
	t.Cleanup(cancel)
	return ctx
}

// hesitant sends its first bytes, and the others only when some time has passed.
type hesitant struct {
	net.Conn
	once sync.Once
	time time.Duration
}

func (h *hesitant) Write(p []byte) (n int, err error) {
	h.once.Do(func() {
		if n, err = h.Conn.Write(p[:5]); err == nil {
			p = p[n:]
			<-time.After(h.time) // it is time that is tested
		}
	})
	if err != nil {
		return n, err
	}
	rest, err := h.Conn.Write(p)
	return n + rest, err
}

func (d *dotNET) slowHandshake(t *testing.T) {
	t.Parallel()
	const takes = 6 * time.Second
	began := time.Now()
	conn := d.connect(t, func(c net.Conn) net.Conn { return &hesitant{Conn: c, time: takes} })
	if err := readNothing(asWriter(t), conn); err != nil {
		t.Errorf("the first call of a slow process: %v", err)
	}
	if took := time.Since(began); took < takes {
		t.Errorf("the handshake took %s only", took)
	}
}

// readNothing reads a stream that is not there.
func readNothing(ctx context.Context, conn *grpc.ClientConn) error {
	read, err := streams.NewStreamsClient(conn).Read(ctx, &streams.ReadReq{Options: &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("nothing")},
			RevisionOption:   &streams.ReadReq_Options_StreamOptions_Start{Start: &shared.Empty{}},
		}},
		CountOption:  &streams.ReadReq_Options_Count{Count: 1},
		FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
		UuidOption:   &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{Structured: &shared.Empty{}}},
	}})
	if err != nil {
		return err
	}
	answer, err := read.Recv()
	if err == nil && answer.GetStreamNotFound() == nil {
		err = fmt.Errorf("read %v", answer)
	}
	return err
}

// manyHandshakes begins 600 handshakes and goes on with none. All but 100, which is
// the bound for one address, are closed at once, long before their time is over; and
// who is connected is served meanwhile.
func (d *dotNET) manyHandshakes(t *testing.T) {
	t.Parallel()
	own := serveDotNET(t) // the others are not to be kept out
	connected := own.connect(t, nil)
	if err := readNothing(asWriter(t), connected); err != nil {
		t.Fatal(err)
	}
	const begun, heldMax, atOnce = 600, 100, 8 * time.Second
	since := time.Now()
	closed := make(chan error, begun)
	for range begun {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", own.address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		go func() {
			_, _ = conn.Write([]byte{22, 3, 1}) // how a handshake begins
			_ = conn.SetReadDeadline(since.Add(atOnce))
			_, err := conn.Read(make([]byte, 1))
			closed <- err
		}()
	}
	held := 0
	for range begun {
		if err := <-closed; errors.Is(err, os.ErrDeadlineExceeded) {
			held++
		}
	}
	if held == 0 || held > heldMax {
		t.Errorf("%d of %d handshakes were held, want 1 to %d", held, begun, heldMax)
	}
	if err := readNothing(asWriter(t), connected); err != nil {
		t.Errorf("a client that was connected before: %v", err)
	}
}

// noCredentials makes calls where a right is needed: they are denied, which .NET
// shows as an AccessDeniedException, and not unauthenticated.
func (d *dotNET) noCredentials(t *testing.T) {
	t.Parallel()
	conn := d.connect(t, nil)
	name := []byte("dotnet-" + uuid.NewString())
	stream := &shared.StreamIdentifier{StreamName: name}
	calls := map[string]func(context.Context, ...grpc.CallOption) error{
		"read": func(ctx context.Context, _ ...grpc.CallOption) error { return readNothing(ctx, conn) },
		"append": func(ctx context.Context, options ...grpc.CallOption) error {
			_, err := batch(ctx, conn, string(name), "t", 1, options...)
			return err
		},
		"delete": func(ctx context.Context, options ...grpc.CallOption) error {
			_, err := streams.NewStreamsClient(conn).Delete(ctx, &streams.DeleteReq{Options: &streams.DeleteReq_Options{
				StreamIdentifier: stream, ExpectedStreamRevision: &streams.DeleteReq_Options_Any{Any: &shared.Empty{}},
			}}, options...)
			return err
		},
		"list groups": func(ctx context.Context, options ...grpc.CallOption) error {
			_, err := persistent.NewPersistentSubscriptionsClient(conn).List(ctx, &persistent.ListReq{Options: &persistent.ListReq_Options{
				ListOption: &persistent.ListReq_Options_ListAllSubscriptions{ListAllSubscriptions: &shared.Empty{}},
			}}, options...)
			return err
		},
	}
	for what, call := range calls {
		var trailers grpcmetadata.MD
		err := call(anonymously(t), grpc.Trailer(&trailers))
		if status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s: %v, want permission denied", what, err)
		}
		if told := trailers.Get("exception"); what != "read" && (len(told) != 1 || told[0] != "access-denied") {
			t.Errorf("%s: exception %q, want access-denied", what, told)
		}
	}
	wrong := grpcmetadata.AppendToOutgoingContext(anonymously(t), "authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(writer+":wrong")))
	if err := readNothing(wrong, conn); status.Code(err) != codes.Unauthenticated {
		t.Errorf("wrong credentials: %v, want unauthenticated", err)
	}
}

// batch appends events of a type to a new stream as .NET does, and returns the answer.
func batch(ctx context.Context, conn *grpc.ClientConn, stream, eventType string, count int, options ...grpc.CallOption) (*streams.BatchAppendResp, error) {
	const frameEvents = 1000
	call, err := streams.NewStreamsClient(conn).BatchAppend(ctx, options...)
	if err != nil {
		return nil, err
	}
	correlation := &shared.UUID{Value: &shared.UUID_String_{String_: uuid.NewString()}}
	for sent := 0; sent < count; {
		frame := &streams.BatchAppendReq{CorrelationId: correlation, Options: &streams.BatchAppendReq_Options{
			StreamIdentifier:       &shared.StreamIdentifier{StreamName: []byte(stream)},
			ExpectedStreamPosition: &streams.BatchAppendReq_Options_NoStream{NoStream: &emptypb.Empty{}},
			DeadlineOption:         &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(scenarioMax)},
		}}
		if sent > 0 {
			frame.Options = nil
		}
		for ; sent < count && len(frame.ProposedMessages) < frameEvents; sent++ {
			frame.ProposedMessages = append(frame.ProposedMessages, &streams.BatchAppendReq_ProposedMessage{
				Id:       &shared.UUID{Value: &shared.UUID_String_{String_: uuid.NewString()}},
				Metadata: map[string]string{"type": eventType, "content-type": "application/json"},
				Data:     []byte(`{}`),
			})
		}
		frame.IsFinal = sent == count
		if err := call.Send(frame); err != nil {
			break // why is in the answer
		}
	}
	answer, err := call.Recv()
	if err == nil {
		err = call.CloseSend()
	}
	return answer, err
}

// longType writes what .NET calls its types: with their assembly.
func (d *dotNET) longType(t *testing.T) {
	t.Parallel()
	conn := d.connect(t, nil)
	const assembly = "Shop.Orders.Contracts.V1.OrderPlaced, Shop.Orders.Contracts, Version=1.0.0.0, Culture=neutral, PublicKeyToken=null; "
	for size, stream := range map[int]string{300: "dotnet-" + uuid.NewString(), 512: strings.Repeat("n", 476) + uuid.NewString()} {
		name := strings.Repeat(assembly, 5)[:size]
		answer, err := batch(asWriter(t), conn, stream, name, 1)
		if err != nil || answer.GetSuccess() == nil {
			t.Fatalf("append of a type of %d bytes to a stream of %d: %v, %v", size, len(stream), answer, err)
		}
		read, err := streams.NewStreamsClient(conn).Read(asWriter(t), &streams.ReadReq{Options: &streams.ReadReq_Options{
			StreamOption: &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{
				StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(stream)},
				RevisionOption:   &streams.ReadReq_Options_StreamOptions_Start{Start: &shared.Empty{}},
			}},
			CountOption:  &streams.ReadReq_Options_Count{Count: 1},
			FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
			UuidOption:   &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{Structured: &shared.Empty{}}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := read.Recv(); err != nil || got.GetEvent().GetEvent().GetMetadata()["type"] != name {
			t.Errorf("read %v, %v; want the type of %d bytes", got, err, size)
		}
	}
}

// tooManyEvents is refused with details that .NET shows with their text, and does not
// speak of bytes; 5,000 are taken.
func (d *dotNET) tooManyEvents(t *testing.T) {
	t.Parallel()
	conn := d.connect(t, nil)
	answer, err := batch(asWriter(t), conn, "dotnet-"+uuid.NewString(), "t", 5_000)
	if err != nil || answer.GetSuccess().GetCurrentRevision() != 4_999 {
		t.Errorf("append of 5,000 events: %v, %v", answer, err)
	}
	answer, err = batch(asWriter(t), conn, "dotnet-"+uuid.NewString(), "t", 12_000)
	if err != nil {
		t.Fatal(err)
	}
	refused, detail := answer.GetError(), &shared.BadRequest{}
	if codes.Code(refused.GetCode()) != codes.InvalidArgument || len(refused.GetDetails()) != 1 { //nolint:gosec // a small number
		t.Fatalf("append of 12,000 events: %v", answer)
	}
	const says = "too many events in one append: it takes 10000 at most"
	if err := refused.GetDetails()[0].UnmarshalTo(detail); err != nil || detail.GetMessage() != says || refused.GetMessage() != says {
		t.Errorf("it is told %v, want: %s", refused, says)
	}
}

package interop_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
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
	"google.golang.org/grpc/credentials/insecure"
	grpcmetadata "google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"daybook/eventstore/gateway"
)

// The official clients for .NET need some things that the others do not need. A .NET process
// compiles its TLS code when it first connects, so its handshake is slow. And .NET recognises
// errors by other signs. The test makes the calls that .NET makes.
func TestWhatADotNETClientNeeds(t *testing.T) {
	t.Parallel()
	d := serveDotNET(t)
	t.Run("a handshake that takes 6 s is served", d.slowHandshakes)
	t.Run("600 handshakes at once are not all held", d.manyHandshakes)
	t.Run("no credentials is unauthenticated", d.noCredentials)
	t.Run("a type of 300 bytes is written and read", d.longType)
	t.Run("too many events says so", d.tooManyEvents)
	t.Run("an id is written as often as it is sent", d.sameIDs)
}

// dotNET is a gateway with TLS and users, and how to connect to it.
type dotNET struct {
	address string
	trust   *tls.Config // nil: it has neither TLS nor users
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

// connect returns a connection, which is opened when it is first used.
func (d *dotNET) connect(t *testing.T) *grpc.ClientConn {
	t.Helper()
	transport := insecure.NewCredentials()
	if d.trust != nil {
		transport = tlscredentials.NewTLS(d.trust)
	}
	conn, err := grpc.NewClient("passthrough:///"+d.address, grpc.WithTransportCredentials(transport))
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

// hesitant is a connection that sends its first bytes, and the others only after some time, like a
// process that compiles its code first.
type hesitant struct {
	net.Conn
	once sync.Once
	time time.Duration
}

func (h *hesitant) Write(p []byte) (n int, err error) {
	h.once.Do(func() {
		if n, err = h.Conn.Write(p[:5]); err == nil {
			p = p[n:]
			<-time.After(h.time) // the wait itself is tested
		}
	})
	if err != nil {
		return n, err
	}
	rest, err := h.Conn.Write(p)
	return n + rest, err
}

// slowHandshakes hesitates in the TLS handshake, in the HTTP/2 handshake after it, and in both.
// Each of the two handshakes has a time limit of its own.
func (d *dotNET) slowHandshakes(t *testing.T) {
	t.Parallel()
	const takes = 6 * time.Second
	for name, c := range map[string]struct{ tls, http2 time.Duration }{
		"of TLS": {takes, 0}, "of HTTP2": {0, takes}, "of both": {takes, takes},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dial := func(ctx context.Context, address string) (net.Conn, error) {
				conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
				if err != nil {
					return nil, err
				}
				trust := d.trust.Clone()
				trust.NextProtos = []string{"h2"}
				secure := tls.Client(&hesitant{Conn: conn, time: c.tls}, trust)
				if err := secure.HandshakeContext(ctx); err != nil {
					return nil, errors.Join(err, conn.Close())
				}
				return &hesitant{Conn: secure, time: c.http2}, nil
			}
			// The dialer makes the TLS connection, so gRPC must not.
			conn, err := grpc.NewClient("passthrough:///"+d.address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(dial))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			began := time.Now()
			ctx, cancel := context.WithTimeout(asWriter(t), 3*takes)
			defer cancel()
			if err := readNothing(ctx, conn); err != nil {
				t.Errorf("the first call of a slow process: %v", err)
			}
			if took := time.Since(began); took < c.tls+c.http2 {
				t.Errorf("the handshakes took %s only", took)
			}
		})
	}
}

// readNothing reads a stream that is not there.
func readNothing(ctx context.Context, conn *grpc.ClientConn, options ...grpc.CallOption) error {
	read, err := streams.NewStreamsClient(conn).Read(ctx, &streams.ReadReq{Options: &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("nothing")},
			RevisionOption:   &streams.ReadReq_Options_StreamOptions_Start{Start: &shared.Empty{}},
		}},
		CountOption:  &streams.ReadReq_Options_Count{Count: 1},
		FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
		UuidOption:   &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{Structured: &shared.Empty{}}},
	}}, options...)
	if err != nil {
		return err
	}
	answer, err := read.Recv()
	if err == nil && answer.GetStreamNotFound() == nil {
		err = fmt.Errorf("read %v", answer)
	}
	return err
}

// manyHandshakes begins 600 handshakes and continues none of them: from one address and from
// several, in the TLS handshake and in that of HTTP/2. At most 100 of each address and 200 in all
// stay open until their time is over; the others are closed at once. Connected clients are served
// meanwhile, and new clients are served when that time is over.
func (d *dotNET) manyHandshakes(t *testing.T) {
	t.Parallel()
	const begun, ofAddress, ofAll, atOnce = 600, 100, 200, 8 * time.Second
	tlsBegins := []byte{22, 3, 1}
	for name, c := range map[string]struct {
		addresses int
		begin     []byte // the part of a handshake that is sent
		plain     bool   // there is no TLS
	}{
		"of TLS, one address":        {1, tlsBegins, false},
		"of TLS, six addresses":      {6, tlsBegins, false},
		"of HTTP2, one address":      {1, []byte("PRI * HT"), true},
		"of HTTP2, six addresses":    {6, []byte("PRI * HT"), true},
		"of nothing, four addresses": {4, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := serveDotNET(t) // a gateway of its own, so that other tests can still connect to theirs
			if c.plain {
				own = &dotNET{address: start(t, inMemory(t), listen(t), gateway.Options{})}
			}
			connected := own.connect(t)
			if err := readNothing(asWriter(t), connected); err != nil {
				t.Fatal(err)
			}
			since := time.Now()
			held := own.begin(t, begun, c.addresses, c.begin, since.Add(atOnce))
			sum, want := 0, min(ofAll, c.addresses*ofAddress)
			for address, n := range held {
				if sum += n; n > ofAddress {
					t.Errorf("%d handshakes of %s were held, want at most %d", n, address, ofAddress)
				}
			}
			if sum == 0 || sum > want {
				t.Errorf("%d of %d handshakes were held, want 1 to %d", sum, begun, want)
			}
			if err := readNothing(asWriter(t), connected); err != nil {
				t.Errorf("a client that was connected before: %v", err)
			}
			if err := readNothing(asWriter(t), own.connect(t), grpc.WaitForReady(true)); err != nil { // it tries until the gateway accepts the connection
				t.Errorf("a client that came meanwhile, after %s: %v", time.Since(since), err)
			}
		})
	}
}

// begin begins handshakes, from several addresses of this machine in turn, and continues none of
// them. It returns how many of each address are still open at a certain time.
func (d *dotNET) begin(t *testing.T, count, addresses int, first []byte, until time.Time) (held map[string]int) {
	t.Helper()
	held = make(map[string]int)
	left := make(chan string, count)
	for i := range count {
		from := fmt.Sprintf("127.0.0.%d", 1+i%addresses)
		conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext(t.Context(), "tcp", d.address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		go func() {
			_, _ = conn.Write(first)
			_ = conn.SetReadDeadline(until)
			_, err := io.Copy(io.Discard, conn) // reads what the server sends, until it closes
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				from = ""
			}
			left <- from
		}()
	}
	for range count {
		if from := <-left; from != "" {
			held[from]++
		}
	}
	return held
}

// noCredentials makes calls that need a right, without credentials. They get *unauthenticated*,
// which .NET shows as a NotAuthenticatedException, as with wrong credentials.
func (d *dotNET) noCredentials(t *testing.T) {
	t.Parallel()
	conn := d.connect(t)
	name := []byte("dotnet-" + uuid.NewString())
	stream := &shared.StreamIdentifier{StreamName: name}
	calls := map[string]func(context.Context, ...grpc.CallOption) error{
		"read": func(ctx context.Context, options ...grpc.CallOption) error { return readNothing(ctx, conn, options...) },
		"batch": func(ctx context.Context, options ...grpc.CallOption) error {
			_, err := batch(ctx, conn, string(name), "t", 1, 1, options...)
			return err
		},
		"append": func(ctx context.Context, options ...grpc.CallOption) error {
			_, err := streamed(ctx, conn, string(name), "t", 1, options...)
			return err
		},
		"tombstone": func(ctx context.Context, options ...grpc.CallOption) error {
			_, err := streams.NewStreamsClient(conn).Tombstone(ctx, &streams.TombstoneReq{Options: &streams.TombstoneReq_Options{
				StreamIdentifier: stream, ExpectedStreamRevision: &streams.TombstoneReq_Options_Any{Any: &shared.Empty{}},
			}}, options...)
			return err
		},
		"delete a group": func(ctx context.Context, options ...grpc.CallOption) error {
			_, err := persistent.NewPersistentSubscriptionsClient(conn).Delete(ctx, &persistent.DeleteReq{Options: &persistent.DeleteReq_Options{
				StreamOption: &persistent.DeleteReq_Options_StreamIdentifier{StreamIdentifier: stream}, GroupName: "g",
			}}, options...)
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
		if err := call(anonymously(t)); status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s: %v, want unauthenticated", what, err)
		}
	}
	wrong := grpcmetadata.AppendToOutgoingContext(anonymously(t), "authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(writer+":wrong")))
	if err := readNothing(wrong, conn); status.Code(err) != codes.Unauthenticated {
		t.Errorf("wrong credentials: %v, want unauthenticated", err)
	}
}

// streamed appends events of a type to a new stream as .NET does with the credentials of a
// user, and as Go does always.
func streamed(ctx context.Context, conn *grpc.ClientConn, stream, eventType string, count int, options ...grpc.CallOption) (*streams.AppendResp, error) {
	call, err := streams.NewStreamsClient(conn).Append(ctx, options...)
	if err != nil {
		return nil, err
	}
	err = call.Send(&streams.AppendReq{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{
		StreamIdentifier:       &shared.StreamIdentifier{StreamName: []byte(stream)},
		ExpectedStreamRevision: &streams.AppendReq_Options_NoStream{NoStream: &shared.Empty{}},
	}}})
	for sent := 0; sent < count && err == nil; sent++ {
		err = call.Send(&streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: &streams.AppendReq_ProposedMessage{
			Id:       &shared.UUID{Value: &shared.UUID_String_{String_: uuid.NewString()}},
			Metadata: map[string]string{"type": eventType, "content-type": "application/json"},
			Data:     []byte(`{}`),
		}}})
	}
	return call.CloseAndRecv() // if sending failed, the answer has the reason
}

// batch appends events of a type to a new stream as .NET does, so many in each message,
// and returns the answer.
func batch(ctx context.Context, conn *grpc.ClientConn, stream, eventType string, count, frameEvents int, options ...grpc.CallOption) (*streams.BatchAppendResp, error) {
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
			break // the answer has the reason
		}
	}
	answer, err := call.Recv()
	if err == nil {
		err = call.CloseSend()
	}
	return answer, err
}

// longType appends an event with a type name as .NET writes it, with the assembly in it.
func (d *dotNET) longType(t *testing.T) {
	t.Parallel()
	conn := d.connect(t)
	const assembly = "Shop.Orders.Contracts.V1.OrderPlaced, Shop.Orders.Contracts, Version=1.0.0.0, Culture=neutral, PublicKeyToken=null; "
	for size, stream := range map[int]string{300: "dotnet-" + uuid.NewString(), 512: strings.Repeat("n", 476) + uuid.NewString()} {
		name := strings.Repeat(assembly, 5)[:size]
		answer, err := batch(asWriter(t), conn, stream, name, 1, 1)
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

// sameIDs appends an id twice in one append, and ids that the stream has at another place. .NET
// knows only success and WrongExpectedVersion, and shows everything else as an error without a
// name.
func (d *dotNET) sameIDs(t *testing.T) {
	t.Parallel()
	conn := d.connect(t)
	stream := &shared.StreamIdentifier{StreamName: []byte("dotnet-" + uuid.NewString())}
	ids := []string{uuid.NewString(), uuid.NewString(), uuid.NewString()}
	for _, c := range []struct {
		what     string
		expected func(*streams.BatchAppendReq_Options)
		ids      []int
		revision uint64 // the revision after a success; otherwise the actual revision
		wrong    bool
	}{
		{"an id twice", anyState, []int{0, 0}, 1, false},
		{"ids of it at its end", atRevision(1), []int{0, 1, 1}, 4, false},
		{"the same again", atRevision(1), []int{0, 1, 1}, 4, false},
		{"ids of it beyond its end", atRevision(9), []int{0, 1}, 4, true},
		{"ids of it at another place", atRevision(2), []int{0, 1}, 4, true},
		{"an id of it and a new one", anyState, []int{1, 2}, 4, true},
		{"a new one and an id of it", anyState, []int{2, 1}, 6, false},
	} {
		call, err := streams.NewStreamsClient(conn).BatchAppend(asWriter(t))
		if err != nil {
			t.Fatal(err)
		}
		frame := &streams.BatchAppendReq{
			CorrelationId: &shared.UUID{Value: &shared.UUID_String_{String_: uuid.NewString()}}, IsFinal: true,
			Options: &streams.BatchAppendReq_Options{StreamIdentifier: stream},
		}
		c.expected(frame.Options)
		for _, i := range c.ids {
			frame.ProposedMessages = append(frame.ProposedMessages, &streams.BatchAppendReq_ProposedMessage{
				Id:       &shared.UUID{Value: &shared.UUID_String_{String_: ids[i]}},
				Metadata: map[string]string{"type": "t", "content-type": "application/json"}, Data: []byte(`{}`),
			})
		}
		if err := call.Send(frame); err != nil {
			t.Fatal(err)
		}
		answer, err := call.Recv()
		if err != nil {
			t.Fatal(err)
		}
		wrong := &shared.WrongExpectedVersion{}
		isWrong := len(answer.GetError().GetDetails()) == 1 && answer.GetError().GetDetails()[0].UnmarshalTo(wrong) == nil
		revision := answer.GetSuccess().GetCurrentRevision() + wrong.GetCurrentStreamRevision() // one of the two is always 0
		if isWrong != c.wrong || answer.GetSuccess() == nil && !isWrong || revision != c.revision {
			t.Errorf("%s: %v", c.what, answer)
		}
	}
}

func anyState(o *streams.BatchAppendReq_Options) {
	o.ExpectedStreamPosition = &streams.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}}
}

func atRevision(revision uint64) func(*streams.BatchAppendReq_Options) {
	return func(o *streams.BatchAppendReq_Options) {
		o.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: revision}
	}
}

// tooManyEvents appends too many events, in every way to append. The refusal has a text that .NET
// shows and that does not speak of bytes. The largest allowed number of events is accepted.
func (d *dotNET) tooManyEvents(t *testing.T) {
	t.Parallel()
	conn := d.connect(t)
	const most, says = 10_000, "too many events in one append: it takes 10000 at most"
	for way, append := range map[string]func(count int) (refused string, err error){
		"a batch in messages of 1,000": func(count int) (string, error) { return batched(t, conn, count, 1_000) },
		"a batch in one message":       func(count int) (string, error) { return batched(t, conn, count, count) },
		"a batch, one by one":          func(count int) (string, error) { return batched(t, conn, count, 1) },
		"a stream of messages": func(count int) (string, error) {
			var trailers grpcmetadata.MD
			answer, err := streamed(asWriter(t), conn, "dotnet-"+uuid.NewString(), "t", count, grpc.Trailer(&trailers))
			if status.Code(err) == codes.InvalidArgument && len(trailers.Get("exception")) == 0 { // .NET would show such a trailer instead of the text
				return status.Convert(err).Message(), nil
			}
			if got := answer.GetSuccess().GetCurrentRevision(); err == nil && got != uint64(count-1) { //nolint:gosec // a small number
				err = fmt.Errorf("answered %v", answer)
			}
			return "", err
		},
	} {
		for count, want := range map[int]string{5_000: "", most: "", most + 1: says, most + 2_000: says} {
			if refused, err := append(count); err != nil || refused != want {
				t.Errorf("%s, %d events: told %q, %v; want %q", way, count, refused, err, want)
			}
		}
	}
}

// batched appends by BatchAppend, and returns the text of the refusal, if there is one.
func batched(t *testing.T, conn *grpc.ClientConn, count, frameEvents int) (refused string, err error) {
	t.Helper()
	answer, err := batch(asWriter(t), conn, "dotnet-"+uuid.NewString(), "t", count, frameEvents)
	if err != nil {
		return "", err
	}
	told := answer.GetError()
	if told == nil {
		if got := answer.GetSuccess().GetCurrentRevision(); got != uint64(count-1) { //nolint:gosec // a small number
			err = fmt.Errorf("answered %v", answer)
		}
		return "", err
	}
	detail := &shared.BadRequest{}
	if codes.Code(told.GetCode()) != codes.InvalidArgument || len(told.GetDetails()) != 1 { //nolint:gosec // a small number
		return "", fmt.Errorf("refused with %v", told)
	}
	if err := told.GetDetails()[0].UnmarshalTo(detail); err != nil || detail.GetMessage() != told.GetMessage() {
		return "", fmt.Errorf("refused with %v, %w", told, err)
	}
	return told.GetMessage(), nil
}

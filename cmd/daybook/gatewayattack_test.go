package main

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"daybook/domain/access"
	"daybook/eventstore"
	"daybook/eventstore/gateway"
	"daybook/eventstore/memory"
	"daybook/internal/pgtest"
)

// gatewayAttack is a call of one method of the gateway on a stream of Alice's.
type gatewayAttack func(ctx context.Context, line *grpc.ClientConn, stream string) error

// named is the name of a stream in a request.
func named(stream string) *shared.StreamIdentifier {
	return &shared.StreamIdentifier{StreamName: []byte(stream)}
}

// typeFor is the type of an event that an attack writes: one of the shop, or one of another program
// if the stream is another program's.
func typeFor(stream string) string {
	if strings.HasPrefix(stream, "notes-") {
		return "noted"
	}
	return "order.canceled.v1"
}

// gatewayAttacks has an attack for each method.
var gatewayAttacks = map[string]gatewayAttack{
	"/event_store.client.streams.Streams/Append": func(ctx context.Context, line *grpc.ClientConn, stream string) error {
		call, err := streams.NewStreamsClient(line).Append(ctx)
		if err != nil {
			return err
		}
		_ = call.Send(&streams.AppendReq{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{ // CloseAndRecv has the error
			StreamIdentifier: named(stream), ExpectedStreamRevision: &streams.AppendReq_Options_Any{Any: &shared.Empty{}},
		}}})
		_ = call.Send(&streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: &streams.AppendReq_ProposedMessage{
			Id: newUUID(), Metadata: map[string]string{"type": typeFor(stream), "content-type": "application/json"}, Data: []byte(`{}`),
		}}})
		_, err = call.CloseAndRecv()
		return err
	},
	"/event_store.client.streams.Streams/BatchAppend": func(ctx context.Context, line *grpc.ClientConn, stream string) error {
		call, err := streams.NewStreamsClient(line).BatchAppend(ctx)
		if err != nil {
			return err
		}
		_ = call.Send(&streams.BatchAppendReq{ // Recv has the error
			CorrelationId: newUUID(), IsFinal: true,
			Options: &streams.BatchAppendReq_Options{StreamIdentifier: named(stream), ExpectedStreamPosition: &streams.BatchAppendReq_Options_Any{}},
			ProposedMessages: []*streams.BatchAppendReq_ProposedMessage{{
				Id: newUUID(), Metadata: map[string]string{"type": typeFor(stream), "content-type": "application/json"}, Data: []byte(`{}`),
			}},
		})
		answer, err := call.Recv()
		if err == nil && answer.GetError() != nil {
			return status.Error(codes.Code(answer.GetError().GetCode()), answer.GetError().GetMessage())
		}
		return err
	},
	"/event_store.client.streams.Streams/Delete": func(ctx context.Context, line *grpc.ClientConn, stream string) error {
		_, err := streams.NewStreamsClient(line).Delete(ctx, &streams.DeleteReq{Options: &streams.DeleteReq_Options{
			StreamIdentifier: named(stream), ExpectedStreamRevision: &streams.DeleteReq_Options_Any{Any: &shared.Empty{}},
		}})
		return err
	},
	"/event_store.client.streams.Streams/Tombstone": func(ctx context.Context, line *grpc.ClientConn, stream string) error {
		_, err := streams.NewStreamsClient(line).Tombstone(ctx, &streams.TombstoneReq{Options: &streams.TombstoneReq_Options{
			StreamIdentifier: named(stream), ExpectedStreamRevision: &streams.TombstoneReq_Options_Any{Any: &shared.Empty{}},
		}})
		return err
	},
	"/event_store.client.streams.Streams/Read": func(ctx context.Context, line *grpc.ClientConn, stream string) error {
		call, err := streams.NewStreamsClient(line).Read(ctx, &streams.ReadReq{Options: &streams.ReadReq_Options{
			StreamOption: &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{
				StreamIdentifier: named(stream), RevisionOption: &streams.ReadReq_Options_StreamOptions_Start{Start: &shared.Empty{}},
			}},
			CountOption: &streams.ReadReq_Options_Count{Count: 1}, FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
			UuidOption: &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}},
		}})
		return firstAnswer(err, func() error { _, err := call.Recv(); return err })
	},
	"/event_store.client.persistent_subscriptions.PersistentSubscriptions/Create": func(ctx context.Context, line *grpc.ClientConn, stream string) error {
		_, err := persistent.NewPersistentSubscriptionsClient(line).Create(ctx, &persistent.CreateReq{Options: &persistent.CreateReq_Options{
			StreamOption: &persistent.CreateReq_Options_Stream{Stream: &persistent.CreateReq_StreamOptions{
				StreamIdentifier: named(stream), RevisionOption: &persistent.CreateReq_StreamOptions_Start{Start: &shared.Empty{}},
			}},
			GroupName: "walk", Settings: &persistent.CreateReq_Settings{
				MaxRetryCount: 1, MaxCheckpointCount: 10, MinCheckpointCount: 1, LiveBufferSize: 10, ReadBatchSize: 5, HistoryBufferSize: 10, ConsumerStrategy: "RoundRobin",
				MessageTimeout: &persistent.CreateReq_Settings_MessageTimeoutMs{MessageTimeoutMs: 1000}, CheckpointAfter: &persistent.CreateReq_Settings_CheckpointAfterMs{CheckpointAfterMs: 1000},
			},
		}})
		return err
	},
	"/event_store.client.persistent_subscriptions.PersistentSubscriptions/Update": func(ctx context.Context, line *grpc.ClientConn, stream string) error {
		_, err := persistent.NewPersistentSubscriptionsClient(line).Update(ctx, &persistent.UpdateReq{Options: &persistent.UpdateReq_Options{
			StreamOption: &persistent.UpdateReq_Options_Stream{Stream: &persistent.UpdateReq_StreamOptions{
				StreamIdentifier: named(stream), RevisionOption: &persistent.UpdateReq_StreamOptions_Start{Start: &shared.Empty{}},
			}},
			GroupName: "group", Settings: &persistent.UpdateReq_Settings{
				MaxRetryCount: 1, MaxCheckpointCount: 10, MinCheckpointCount: 1, LiveBufferSize: 10, ReadBatchSize: 5, HistoryBufferSize: 10,
				MessageTimeout: &persistent.UpdateReq_Settings_MessageTimeoutMs{MessageTimeoutMs: 1000}, CheckpointAfter: &persistent.UpdateReq_Settings_CheckpointAfterMs{CheckpointAfterMs: 1000},
			},
		}})
		return err
	},
	"/event_store.client.persistent_subscriptions.PersistentSubscriptions/Delete": func(ctx context.Context, line *grpc.ClientConn, stream string) error {
		_, err := persistent.NewPersistentSubscriptionsClient(line).Delete(ctx, &persistent.DeleteReq{Options: &persistent.DeleteReq_Options{
			StreamOption: &persistent.DeleteReq_Options_StreamIdentifier{StreamIdentifier: named(stream)}, GroupName: "group",
		}})
		return err
	},
	"/event_store.client.persistent_subscriptions.PersistentSubscriptions/Read": func(ctx context.Context, line *grpc.ClientConn, stream string) error {
		call, err := persistent.NewPersistentSubscriptionsClient(line).Read(ctx)
		if err != nil {
			return err
		}
		_ = call.Send(&persistent.ReadReq{Content: &persistent.ReadReq_Options_{Options: &persistent.ReadReq_Options{ // Recv has the error
			StreamOption: &persistent.ReadReq_Options_StreamIdentifier{StreamIdentifier: named(stream)}, GroupName: "group", BufferSize: 1,
			UuidOption: &persistent.ReadReq_Options_UUIDOption{Content: &persistent.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}},
		}}})
		_, err = call.Recv()
		return err
	},
	"/event_store.client.persistent_subscriptions.PersistentSubscriptions/GetInfo": func(ctx context.Context, line *grpc.ClientConn, stream string) error {
		_, err := persistent.NewPersistentSubscriptionsClient(line).GetInfo(ctx, &persistent.GetInfoReq{Options: &persistent.GetInfoReq_Options{
			StreamOption: &persistent.GetInfoReq_Options_StreamIdentifier{StreamIdentifier: named(stream)}, GroupName: "group",
		}})
		return err
	},
	"/event_store.client.persistent_subscriptions.PersistentSubscriptions/ReplayParked": func(ctx context.Context, line *grpc.ClientConn, stream string) error {
		_, err := persistent.NewPersistentSubscriptionsClient(line).ReplayParked(ctx, &persistent.ReplayParkedReq{Options: &persistent.ReplayParkedReq_Options{
			StreamOption: &persistent.ReplayParkedReq_Options_StreamIdentifier{StreamIdentifier: named(stream)}, GroupName: "group",
			StopAtOption: &persistent.ReplayParkedReq_Options_NoLimit{NoLimit: &shared.Empty{}},
		}})
		return err
	},
	"/event_store.client.persistent_subscriptions.PersistentSubscriptions/List": func(ctx context.Context, line *grpc.ClientConn, _ string) error {
		_, err := persistent.NewPersistentSubscriptionsClient(line).List(ctx, &persistent.ListReq{Options: &persistent.ListReq_Options{
			ListOption: &persistent.ListReq_Options_ListAllSubscriptions{ListAllSubscriptions: &shared.Empty{}},
		}})
		return err
	},
	"/event_store.client.persistent_subscriptions.PersistentSubscriptions/RestartSubsystem": func(ctx context.Context, line *grpc.ClientConn, _ string) error {
		_, err := persistent.NewPersistentSubscriptionsClient(line).RestartSubsystem(ctx, &shared.Empty{})
		return err
	},
}

func newUUID() *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_String_{String_: uuid.NewString()}}
}

// firstAnswer is the error of a call, or of its first answer.
func firstAnswer(err error, answer func() error) error {
	if err == nil {
		err = answer()
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// dialRaw is a line to the gateway of a server, whose certificate it trusts.
func dialRaw(t *testing.T, connection string) *grpc.ClientConn {
	t.Helper()
	u, err := url.Parse(connection)
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := credentials.NewClientTLSFromFile(u.Query().Get("tlsCAFile"), "")
	if err != nil {
		t.Fatal(err)
	}
	line, err := grpc.NewClient(u.Host, grpc.WithTransportCredentials(trusted))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = line.Close() })
	return line
}

// signedBy is a context whose calls have a name and a password.
func signedBy(ctx context.Context, name, password string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(name+":"+password)))
}

// The keys of another customer, of a storefront and of a guest reach nothing by any method of the
// gateway. An analyst reads, and changes nothing. A new method fails this test until it has an
// attack.
func TestOtherKeysReachNothingInTheGateway(t *testing.T) {
	t.Parallel()
	g := openKeyedGateway(t)
	const order = "order-alices"
	g.must(g.admin, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked","prices":[{"amount":"7.50","currency":"GBP"}]}`)
	g.must(g.admin, http.MethodPost, "/v1/stock/MUG/main/receipts", `{"quantity":9}`, "Idempotency-Key", "r")
	response, _ := g.send(g.admin, http.MethodPost, "/v1/carts", `{"cart_id":"alices","currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`)
	guest := response.Header.Get("Daybook-Guest-Token")
	g.must(g.admin, http.MethodPost, "/v1/carts/alices/checkout", `{"order_id":"alices"}`, "Idempotency-Key", "c")
	admin := g.with(g.admin)
	if err := admin.CreatePersistentSubscription(t.Context(), order, "group", esdb.PersistentStreamSubscriptionOptions{}); err != nil {
		t.Fatal(err)
	}
	listed, err := gateway.New(memory.New(), gateway.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer listed.Close(t.Context())
	methods, anonymous := listed.Methods()
	line := dialRaw(t, g.gateway)
	_, bob := g.makeKey(`"role":"customer","customer_id":"bob"`)
	_, shop := g.makeKey(`"role":"storefront"`)
	_, analyst := g.makeKey(`"role":"analyst"`)
	before := g.must(g.admin, http.MethodGet, "/v1/orders/alices?", "")
	for who, c := range map[string]struct {
		key    string
		denied codes.Code
		reads  []string
	}{
		"bob": {bob, codes.Unauthenticated, nil}, "a storefront": {shop, codes.Unauthenticated, nil}, "a guest": {guest, codes.Unauthenticated, nil},
		"an analyst": {analyst, codes.PermissionDenied, []string{"/event_store.client.streams.Streams/Read"}},
	} {
		parts := strings.Split(c.key, "_")
		ctx := signedBy(t.Context(), parts[1], c.key)
		for _, method := range methods {
			if anonymous(method) {
				continue
			}
			attack, known := gatewayAttacks[method]
			if !known {
				t.Errorf("the walk cannot attack %s: add an attack", method)
				continue
			}
			for _, stream := range []string{order, "$$" + order} {
				err := attack(ctx, line, stream)
				// Who reads may read the metadata of a stream, too.
				if refused := status.Code(err) == c.denied; refused == slices.Contains(c.reads, method) || !refused && err != nil {
					t.Errorf("%s, %s of %s: %v", who, method, stream, err)
				}
			}
		}
	}
	if len(gatewayAttacks) < 13 {
		t.Errorf("%d attacks", len(gatewayAttacks))
	}
	// Each attack is made in a form that an administrator may send. So it was refused because of
	// its sender. The shop's streams are not written even by an administrator.
	id := strings.Split(g.admin, "_")[1]
	for method, attack := range gatewayAttacks {
		writes := strings.HasPrefix(method, "/event_store.client.streams.Streams/") && !strings.HasSuffix(method, "/Read")
		stream := order
		if writes {
			stream = "notes-" + strings.ToLower(method[strings.LastIndex(method, "/")+1:])
		}
		if strings.HasSuffix(method, "PersistentSubscriptions/Delete") || strings.HasSuffix(method, "RestartSubsystem") {
			continue // the others need the group; both are tested with an administrator elsewhere
		}
		err := attack(signedBy(t.Context(), id, g.admin), line, stream)
		if code := status.Code(err); code == codes.PermissionDenied || code == codes.Unauthenticated || code == codes.InvalidArgument {
			t.Errorf("an administrator, %s of %s: %v", method, stream, err)
		}
	}
	if after := g.must(g.admin, http.MethodGet, "/v1/orders/alices?", ""); after != before {
		t.Errorf("the order was %s\nand is %s", before, after)
	}
}

// A user of the file is in the groups that the file names, beside the holders of keys. The group
// daybook-read reads the shop's streams and $all, and writes none of them.
func TestAFileOfUsersNamesReaders(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	users := writeFile(t, "users", "rita:"+hashed(t, "right")+":daybook-read\nbob:"+hashed(t, "other")+"\n")
	s := serve(t, "--data", dataDir(t), "--gateway", "127.0.0.1:0", "--gateway-cert", cert, "--gateway-key", key, "--gateway-users", users)
	g := &keyedGateway{t: t, keyedShop: keyedShop{t: t, running: s}, admin: keyOf(s.url)}
	g.gateway += "&tlsCAFile=" + cert
	g.must(g.admin, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked"}`)
	rita, bob, admin := g.as("rita", "right"), g.as("bob", "other"), g.with(g.admin)
	for _, stream := range []string{"product-MUG", "$all"} {
		for who, client := range map[string]*esdb.Client{"rita": rita, "the holder of a key": admin} {
			if err := g.reads(client, stream); err != nil {
				t.Errorf("%s reads %s: %v", who, stream, err)
			}
		}
		wantCode(t, "a user without the group reads "+stream, g.reads(bob, stream), esdb.ErrorCodeAccessDenied)
	}
	_, err := rita.AppendToStream(t.Context(), "product-MUG", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, note(1))
	wantCode(t, "a reader writes the shop's stream", err, esdb.ErrorCodeAccessDenied)
	err = rita.CreatePersistentSubscription(t.Context(), "product-MUG", "mine", esdb.PersistentStreamSubscriptionOptions{})
	wantCode(t, "a reader makes a group of consumers", err, esdb.ErrorCodeAccessDenied)
	for name, password := range map[string]string{"rita": "wrong", "eve": "right", "k1": "right"} {
		wantCode(t, name+" with a wrong password", g.reads(g.as(name, password), "product-MUG"), esdb.ErrorCodeUnauthenticated)
	}
	// The name of a user of the file is not the id of a key.
	wantCode(t, "rita with the secret of a key", g.reads(g.as("rita", strings.Split(g.admin, "_")[2]), "product-MUG"), esdb.ErrorCodeUnauthenticated)
}

// A node that meets an event about keys that it does not know says so in /readyz, and goes on with
// the keys that it has.
func TestANodeThatDoesNotHearOfKeysSaysSo(t *testing.T) {
	t.Parallel()
	s := &keyedShop{t: t, database: pgtest.URL(t)}
	admin := s.makeKey("--role", "admin")
	s.running = serve(t, "--database-url", s.database)
	eventually(t, patience, "the node is ready", func() bool {
		status, text := s.ask(admin, http.MethodGet, "/readyz", "")
		if strings.Contains(text, `"component":"keys"`) {
			t.Fatalf("at first: %s", text)
		}
		return status == http.StatusOK
	})
	// A newer program records an event of a type that does not exist yet.
	newer, err := openNode(t.Context(), nodeConfig{Database: databaseConfig{URL: s.database}, Now: time.Now}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	painted := eventstore.Event{ID: eventstore.EventID(uuid.New(), 0), Type: "shopaccess.key_painted.v1", Data: []byte(`{}`)}
	_, err = newer.store.Append(t.Context(), access.Stream(), eventstore.Any, []eventstore.Event{painted})
	if err = errors.Join(err, newer.closeInTime(t.Context())); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "the node says that it does not hear of keys", func() bool {
		_, text := s.ask(admin, http.MethodGet, "/readyz", "")
		return strings.Contains(text, `"component":"keys"`) && strings.Contains(text, `"state":"silent"`) && strings.Contains(text, "key_painted")
	})
	if status, text := s.ask("", http.MethodGet, "/readyz", ""); strings.Contains(text, "keys") {
		t.Errorf("without a key: %d %s", status, text)
	}
}

// openInTheGateway are the methods of the gateway that need no credentials, because clients send
// none there.
var openInTheGateway = []string{"/event_store.client.gossip.Gossip/Read", "/event_store.client.server_features.ServerFeatures/GetSupportedMethods"}

// walkGatewayWithoutCredentials calls each method of the gateway without credentials and with
// credentials that are not good. It trusts the certificate in the file cert.
func (s *keyedShop) walkGatewayWithoutCredentials(cert string) {
	s.t.Helper()
	t, admin := s.t, s.keys["admin"]
	listed, err := gateway.New(memory.New(), gateway.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer listed.Close(context.WithoutCancel(t.Context()))
	methods, anonymous := listed.Methods()
	if open := slices.DeleteFunc(slices.Clone(methods), func(method string) bool { return !anonymous(method) }); !slices.Equal(open, openInTheGateway) {
		t.Errorf("open in the gateway: %q", open)
	}
	line := dialRaw(t, s.gateway+"&tlsCAFile="+cert)
	id := strings.Split(admin, "_")[1]
	bare := func(values ...string) context.Context {
		return metadata.AppendToOutgoingContext(t.Context(), values...)
	}
	for who, ctx := range map[string]context.Context{
		"nobody":                       t.Context(),
		"a wrong secret":               signedBy(t.Context(), id, strings.Repeat("0", 64)),
		"an unknown key":               signedBy(t.Context(), "none", "dbk_none_"+strings.Repeat("0", 64)),
		"the default admin":            signedBy(t.Context(), "admin", "changeit"),
		"a wrong bearer token":         bare("authorization", "Bearer dbk_"+id+"_"+strings.Repeat("0", 64)),
		"an empty header":              bare("authorization", ""),
		"a name that a proxy may send": bare("x-forwarded-for", "127.0.0.1", "forwarded", "for=127.0.0.1", "x-forwarded-user", "admin", "trusted-auth", "admin; $admins"),
	} {
		for _, method := range methods {
			if anonymous(method) {
				if err := line.Invoke(ctx, method, &shared.Empty{}, &shared.Empty{}); status.Code(err) == codes.Unauthenticated {
					t.Errorf("%s, %s: %v", who, method, err)
				}
				continue
			}
			attack, known := gatewayAttacks[method]
			if !known {
				t.Errorf("the walk cannot call %s: add an attack", method)
				continue
			}
			for _, stream := range []string{"order-o-1", "$all", "$$notes-1", "notes-1"} {
				if err := attack(ctx, line, stream); status.Code(err) != codes.Unauthenticated {
					t.Errorf("%s, %s of %s: %v", who, method, stream, err)
				}
			}
		}
	}
}

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"golang.org/x/crypto/bcrypt"

	"daybook/cmd/daybook/shoppers"
	"daybook/commands/aggregate"
)

func dialGateway(t *testing.T, connection string) *esdb.Client {
	t.Helper()
	config, err := esdb.ParseConnectionString(connection)
	if err != nil {
		t.Fatal(err)
	}
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func note(n byte) esdb.EventData {
	return esdb.EventData{EventID: uuid.New(), EventType: "note.v1", ContentType: esdb.ContentTypeJson, Data: []byte{'{', '"', 'n', '"', ':', '0' + n, '}'}}
}

// wantCode checks how a call was refused.
func wantCode(t *testing.T, what string, err error, code esdb.ErrorCode) {
	t.Helper()
	refused, ok := errors.AsType[*esdb.Error](err)
	if !ok || !refused.IsErrorCode(code) {
		t.Errorf("%s: error %v, want code %d", what, err, code)
	}
}

// A client of EventStoreDB sees what the shop does, writes its own streams, and finds its place
// again after a restart. It cannot write the shop's streams.
func TestTheGatewayOfAServer(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	server := serve(t, "--data", dir, "--gateway", "127.0.0.1:0")
	shop := newShopper(server.url, 1)
	defer shop.Close()
	goods := shoppers.Product{SKU: "G-1", Title: "A", Price: shoppers.Money{Amount: "1.00", Currency: "GBP"}, Opening: 5}
	if _, err := shoppers.Open(t.Context(), shop, []shoppers.Product{goods}); err != nil {
		t.Fatal(err)
	}
	client := dialGateway(t, server.gateway)
	ctx := t.Context()

	read, err := client.ReadStream(ctx, "stock-G-1@main", esdb.ReadStreamOptions{From: esdb.Start{}}, 10)
	if err != nil {
		t.Fatal(err)
	}
	first, err := read.Recv()
	if err != nil || first.Event.EventType != "stock.received.v1" || first.Event.ContentType != "application/json" {
		t.Errorf("the first event of the stock is %+v, error %v", first, err)
	}
	read.Close()

	for what, target := range map[string]string{"a stream of the shop": "stock-G-1@main", "its metadata": "$$stock-G-1@main", "a new one": "order-9"} {
		_, err := client.AppendToStream(ctx, target, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, note(1))
		wantCode(t, what, err, esdb.ErrorCodeAccessDenied)
	}
	forged := note(1)
	forged.EventType = "stock.received.v1"
	_, err = client.AppendToStream(ctx, "notes", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, forged)
	wantCode(t, "a fact of the shop in another stream", err, esdb.ErrorCodeAccessDenied)

	// Streams whose names only look like those of the shop belong to others, and verify does not
	// report them.
	for _, name := range []string{"product", "orders-1", "$$notes"} {
		odd := note(1)
		odd.Metadata = []byte(`{"actor":{"id":1}}`)
		if _, err := client.AppendToStream(ctx, name, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, odd); err != nil {
			t.Errorf("append to %s: %v", name, err)
		}
	}
	if page := body(t, server.url+"/v1/events?limit=500"); !strings.Contains(page, "/v1/streams/orders-1") {
		t.Errorf("the log is shown as %s", page)
	}

	// This is the id that the event of a later order will have. If it were recorded now, the log
	// would refuse that order.
	squatting := note(1)
	squatting.EventID = aggregate.EventID(uuid.New(), 0)
	_, err = client.AppendToStream(ctx, "notes", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, squatting)
	wantCode(t, "an id of the shop's kind", err, esdb.ErrorCodeAccessDenied)

	const group = "readers"
	if err := client.CreatePersistentSubscription(ctx, "notes", group, esdb.PersistentStreamSubscriptionOptions{StartFrom: esdb.Start{}}); err != nil {
		t.Fatal(err)
	}
	for n := range byte(3) {
		if _, err := client.AppendToStream(ctx, "notes", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, note(n)); err != nil {
			t.Fatal(err)
		}
	}
	took := take(t, client, group, 2)
	if took[0] != 0 || took[1] != 1 {
		t.Errorf("the group was given %v, want the first two", took)
	}
	server.stop()
	if code := server.exit(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}

	again := serve(t, "--data", dir, "--gateway", "127.0.0.1:0")
	if took := take(t, dialGateway(t, again.gateway), group, 1); took[0] != 2 {
		t.Errorf("after a restart the group was given %v, want the third", took)
	}
	again.stop()
	if code := again.exit(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	expectVerified(t, dir) // foreign streams are no fault of the books
}

// take receives and acknowledges count events of a group, and returns their revisions.
func take(t *testing.T, client *esdb.Client, group string, count int) (revisions []uint64) {
	t.Helper()
	subscription, err := client.SubscribeToPersistentSubscription(t.Context(), "notes", group, esdb.SubscribeToPersistentSubscriptionOptions{BufferSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer subscription.Close()
	for len(revisions) < count {
		message := subscription.Recv()
		if message.SubscriptionDropped != nil {
			t.Fatalf("after %v: %v", revisions, message.SubscriptionDropped.Error)
		}
		if message.EventAppeared == nil {
			continue
		}
		revisions = append(revisions, message.EventAppeared.Event.OriginalEvent().EventNumber)
		if err := subscription.Ack(message.EventAppeared.Event); err != nil {
			t.Fatal(err)
		}
	}
	// The acknowledgement may still be on its way. The group's state shows when it has arrived.
	eventually(t, patience, "nothing is in flight", func() bool {
		info, err := client.GetPersistentSubscriptionInfo(t.Context(), "notes", group, esdb.GetPersistentSubscriptionOptions{})
		return err == nil && info.Stats.TotalItems >= int64(count) && info.Stats.TotalInFlightMessages <= 1
	})
	return revisions
}

// With TLS and users, the gateway serves only callers with a name and a password, and only
// administrators see everything.
func TestTheGatewayLetsInWhoItKnows(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	users := writeFile(t, "users", "ann:"+hashed(t, "right")+":$admins\nbob:"+hashed(t, "other")+"\n")
	server := serve(t, "--data", dataDir(t), "--gateway", "127.0.0.1:0", "--gateway-cert", cert, "--gateway-key", key, "--gateway-users", users)
	as := func(user, password string) *esdb.Client {
		u, err := url.Parse(server.gateway)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword(user, password)
		return dialGateway(t, u.String()+"&tlsCAFile="+cert)
	}
	readAll := func(client *esdb.Client) error {
		read, err := client.ReadAll(t.Context(), esdb.ReadAllOptions{From: esdb.Start{}}, 1)
		if err != nil {
			return err
		}
		defer read.Close()
		_, err = read.Recv()
		return err
	}
	ann, bob := as("ann", "right"), as("bob", "other")
	if _, err := bob.AppendToStream(t.Context(), "notes", esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, note(1)); err != nil {
		t.Errorf("a user writes a stream: %v", err)
	}
	if err := readAll(ann); err != nil {
		t.Errorf("an administrator reads everything: %v", err)
	}
	wantCode(t, "a user reads everything", readAll(bob), esdb.ErrorCodeAccessDenied)
	wantCode(t, "a wrong password", readAll(as("ann", "wrong")), esdb.ErrorCodeUnauthenticated)
	wantCode(t, "an unknown user", readAll(as("eve", "right")), esdb.ErrorCodeUnauthenticated)

	u, err := url.Parse(server.gateway)
	if err != nil {
		t.Fatal(err)
	}
	u.User = nil
	unnamed := dialGateway(t, u.String()+"&tlsCAFile="+cert)
	wantCode(t, "a caller without credentials reads", readAll(unnamed), esdb.ErrorCodeUnauthenticated)
	_, err = unnamed.AppendToStream(t.Context(), "notes", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, note(2))
	wantCode(t, "a caller without credentials appends", err, esdb.ErrorCodeUnauthenticated)
	_, err = unnamed.DeleteStream(t.Context(), "notes", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}})
	wantCode(t, "a caller without credentials deletes", err, esdb.ErrorCodeUnauthenticated)
}

func hashed(t *testing.T, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

// certificate makes a self-signed certificate for the loopback address.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	certPEM, keyPEM := newCertificate(t)
	return writeFile(t, "cert.pem", string(certPEM)), writeFile(t, "key.pem", string(keyPEM))
}

func newCertificate(t *testing.T) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "daybook test"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: privateDER})
}

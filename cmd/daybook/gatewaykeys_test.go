package main

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/go-json-experiment/json"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"daybook/eventstore/gateway"
	"daybook/eventstore/memory"
)

// keyedGateway is a server with a gateway whose users are the holders of API keys.
type keyedGateway struct {
	t *testing.T
	keyedShop
	admin   string                  // its key
	clients map[string]*esdb.Client // by key; see with
}

func openKeyedGateway(t *testing.T) *keyedGateway {
	t.Helper()
	s := serve(t, "--data", dataDir(t), "--gateway", "127.0.0.1:0")
	return &keyedGateway{t: t, keyedShop: keyedShop{t: t, running: s}, admin: keyOf(s.url)}
}

// makeKey makes a key over the API, with members of the request's body besides its name.
func (g *keyedGateway) makeKey(members string) (id, key string) {
	g.t.Helper()
	var made struct {
		About struct {
			ID string `json:"key_id"`
		} `json:"key"`
		Key string `json:"api_key"`
	}
	if err := json.Unmarshal([]byte(g.must(g.admin, http.MethodPost, "/v1/keys", `{"name":"test",`+members+`}`)), &made); err != nil {
		g.t.Fatal(err)
	}
	return made.About.ID, made.Key
}

// as is a client of the gateway with this user and password.
func (g *keyedGateway) as(name, password string) *esdb.Client {
	g.t.Helper()
	u, err := url.Parse(g.gateway)
	if err != nil {
		g.t.Fatal(err)
	}
	u.User = url.UserPassword(name, password)
	return dialGateway(g.t, u.String())
}

// with is a client with a key: its id is the name, its secret the password. There is one client for
// each key, because the gateway takes only so many connections from one address.
func (g *keyedGateway) with(key string) *esdb.Client {
	if g.clients[key] == nil {
		if g.clients == nil {
			g.clients = map[string]*esdb.Client{}
		}
		parts := strings.Split(key, "_")
		g.clients[key] = g.as(parts[1], parts[2])
	}
	return g.clients[key]
}

// reads reads the first event of a stream, or of $all.
func (g *keyedGateway) reads(client *esdb.Client, stream string) error {
	var read *esdb.ReadStream
	var err error
	if stream == "$all" {
		read, err = client.ReadAll(g.t.Context(), esdb.ReadAllOptions{From: esdb.Start{}}, 1)
	} else {
		read, err = client.ReadStream(g.t.Context(), stream, esdb.ReadStreamOptions{From: esdb.Start{}}, 1)
	}
	if err != nil {
		return err
	}
	defer read.Close()
	if _, err = read.Recv(); errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// Without credentials the gateway serves only the methods with which clients find a node.
func TestTheGatewayServesNobodyWithoutCredentials(t *testing.T) {
	t.Parallel()
	g := openKeyedGateway(t)
	listed, err := gateway.New(memory.New(), gateway.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer listed.Close(t.Context())
	methods, anonymous := listed.Methods()
	connection, err := url.Parse(g.gateway)
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := credentials.NewClientTLSFromFile(connection.Query().Get("tlsCAFile"), "")
	if err != nil {
		t.Fatal(err)
	}
	line, err := grpc.NewClient(connection.Host, grpc.WithTransportCredentials(trusted))
	if err != nil {
		t.Fatal(err)
	}
	defer line.Close()
	open := 0
	for _, method := range append(methods, "/event_store.client.users.Users/Details", "/no.such.Service/Method") {
		err := line.Invoke(t.Context(), method, &shared.Empty{}, &shared.Empty{})
		if anonymous(method) {
			open++
			if err != nil {
				t.Errorf("%s: %v", method, err)
			}
			continue
		}
		if status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s: %v", method, err)
		}
	}
	if len(methods) < 14 || open != 2 {
		t.Errorf("%d methods, %d of them answer everybody: %q", len(methods), open, methods)
	}
}

// The holder of a key may do in the gateway what the key's role allows.
func TestTheGatewayKnowsAPIKeys(t *testing.T) {
	t.Parallel()
	g := openKeyedGateway(t)
	g.must(g.admin, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked"}`)
	g.must(g.admin, http.MethodPut, "/v1/roles/writer", `{"grants":[{"permission":"events.write","reach":"all"}]}`)
	g.must(g.admin, http.MethodPut, "/v1/roles/keymaker", `{"grants":[{"permission":"access.write","reach":"all"}]}`)
	g.must(g.admin, http.MethodPut, "/v1/roles/half", `{"grants":[{"permission":"access.write","reach":"all"},{"permission":"events.read","reach":"all"}]}`)
	admin := g.with(g.admin)
	if _, err := admin.AppendToStream(t.Context(), "notes", esdb.AppendToStreamOptions{}, note(1)); err != nil {
		t.Fatal(err)
	}
	for role, c := range map[string]struct{ reads, writes, manages bool }{
		"admin":      {reads: true, writes: true, manages: true},
		"auditor":    {reads: true},
		"analyst":    {reads: true},
		"manager":    {manages: true},
		"operator":   {manages: true},
		"writer":     {writes: true},
		"keymaker":   {}, // the right to make keys is none of the gateway's
		"half":       {reads: true},
		"storefront": {}, "customer": {},
	} {
		members := `"role":"` + role + `"`
		if role == "customer" {
			members += `,"customer_id":"ann"`
		}
		_, key := g.makeKey(members)
		client := g.with(key)
		admitted := c.reads || c.writes || c.manages
		denied := esdb.ErrorCodeAccessDenied
		if !admitted {
			denied = esdb.ErrorCodeUnauthenticated
		}
		expect := func(what string, may bool, err error) {
			t.Helper()
			if may && err != nil {
				t.Errorf("%s %s: %v", role, what, err)
			}
			if !may {
				wantCode(t, role+" "+what, err, denied)
			}
		}
		expect("reads an ordinary stream", admitted, g.reads(client, "notes"))
		expect("reads the shop's stream", c.reads, g.reads(client, "product-MUG"))
		expect("reads the stream of keys", c.reads, g.reads(client, "shopaccess-all"))
		expect("reads $all", c.reads, g.reads(client, "$all"))
		_, err := client.AppendToStream(t.Context(), "notes", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, note(1))
		expect("writes an ordinary stream", c.writes, err)
		_, err = client.DeleteStream(t.Context(), "notes-of-"+role, esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}})
		if role != "admin" && role != "writer" { // they may, but there is no such stream
			expect("deletes a stream", c.writes, err)
		}
		_, err = client.SetStreamMetadata(t.Context(), "notes", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, esdb.StreamMetadata{})
		expect("writes metadata", c.writes, err)
		err = client.CreatePersistentSubscription(t.Context(), "notes", "group-"+role, esdb.PersistentStreamSubscriptionOptions{})
		expect("makes a group of consumers", c.manages, err)
		_, err = client.AppendToStream(t.Context(), "product-MUG", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, note(1))
		wantCode(t, role+" writes the shop's stream", err, denied)
	}
	// A reader may not take events from a group, because that moves the group's place.
	_, auditor := g.makeKey(`"role":"auditor"`)
	_, err := g.with(auditor).SubscribeToPersistentSubscription(t.Context(), "notes", "group-admin", esdb.SubscribeToPersistentSubscriptionOptions{})
	wantCode(t, "an auditor consumes from a group", err, esdb.ErrorCodeAccessDenied)
	// The whole key is accepted as a password, too, but not with another key's id.
	id := strings.Split(auditor, "_")[1]
	if err := g.reads(g.as(id, auditor), "notes"); err != nil {
		t.Errorf("the whole key as a password: %v", err)
	}
	for name, password := range map[string]string{"other": auditor, id: strings.Repeat("0", 64), "ann": "secret"} {
		wantCode(t, name+" signs in", g.reads(g.as(name, password), "notes"), esdb.ErrorCodeUnauthenticated)
	}
}

// When a key is revoked, its subscriptions end and its next call is refused.
func TestASubscriptionEndsWithItsKey(t *testing.T) {
	t.Parallel()
	g := openKeyedGateway(t)
	g.must(g.admin, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked"}`)
	for name, end := range map[string]func(id string){
		"revoked":                 func(id string) { g.must(g.admin, http.MethodPost, "/v1/keys/"+id+"/revoke", `{}`) },
		"its secret was replaced": func(id string) { g.must(g.admin, http.MethodPost, "/v1/keys/"+id+"/rotate", `{}`) },
	} {
		id, key := g.makeKey(`"role":"auditor"`)
		client := g.with(key)
		ofAll, err := client.SubscribeToAll(t.Context(), esdb.SubscribeToAllOptions{From: esdb.Start{}})
		if err != nil {
			t.Fatal(err)
		}
		ofStream, err := client.SubscribeToStream(t.Context(), "product-MUG", esdb.SubscribeToStreamOptions{From: esdb.Start{}})
		if err != nil {
			t.Fatal(err)
		}
		for _, subscription := range []*esdb.Subscription{ofAll, ofStream} {
			if first := subscription.Recv(); first.SubscriptionDropped != nil {
				t.Fatalf("%s: dropped at once: %v", name, first.SubscriptionDropped.Error)
			}
		}
		end(id)
		for _, subscription := range []*esdb.Subscription{ofAll, ofStream} {
			for {
				if got := subscription.Recv(); got.SubscriptionDropped != nil {
					if err := got.SubscriptionDropped.Error; status.Code(err) != codes.Unauthenticated {
						t.Errorf("%s: the subscription ended with %v", name, err)
					}
					break
				}
			}
		}
		wantCode(t, name+": the next call", g.reads(client, "product-MUG"), esdb.ErrorCodeUnauthenticated)
	}
}

// The program makes a certificate for its gateway once, and another one only when it has to.
func TestTheGatewaysOwnCertificateIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := testEnvironment(nil, nil, nil, nil).now()
	read := func() string {
		text, err := os.ReadFile(filepath.Join(dir, ownCertFile))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, c := range []struct {
		what, host string
		later      bool
		renewed    bool
	}{
		{what: "the first start", host: "127.0.0.1", renewed: true},
		{what: "the second start", host: "127.0.0.1"},
		{what: "another loopback name", host: "localhost"},
		{what: "a name that it lacks", host: "shop.example", renewed: true},
		{what: "the same name", host: "shop.example"},
		{what: "near its end", host: "shop.example", later: true, renewed: true},
	} {
		before, at := "", now
		if c.what != "the first start" {
			before = read()
		}
		if c.later {
			at = now.Add(ownCertLasts - ownCertRenew + 1)
		}
		file, config, err := ownCertificate(dir, c.host, at)
		if err != nil || config.Certificates[0].Leaf.VerifyHostname(c.host) != nil || file != filepath.Join(dir, ownCertFile) {
			t.Fatalf("%s: %s, %v", c.what, file, err)
		}
		if (read() != before) != c.renewed {
			t.Errorf("%s: a new certificate: %t", c.what, read() != before)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, ownKeyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the private key: %v, %v", info, err)
	}
}

package gateway_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"daybook/eventstore"
	"daybook/eventstore/gateway"
	"daybook/eventstore/memory"
	"daybook/internal/racetest"
)

// members are the users of a test's gateway, with their groups. The password of each is its name.
type members map[string][]string

func (m members) Authenticate(_ context.Context, name, password string) (gateway.User, error) {
	groups, known := m[name]
	switch {
	case name == "unlucky":
		return gateway.User{}, &eventstore.UnavailableError{Cause: errors.New("no database")}
	case !known || password != name:
		return gateway.User{}, errors.New("no such member")
	}
	return gateway.User{Name: name, Groups: groups}, nil
}

// certificate makes a self-signed certificate for 127.0.0.1.
func certificate(t *testing.T) (server *tls.Config, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gateway"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	pair := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
		&tls.Config{RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS12}
}

// basic sends credentials with each call.
type basic string

func (b basic) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": string(b)}, nil
}
func (basic) RequireTransportSecurity() bool { return true }

func as(name string) basic {
	return basic("Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+name)))
}

// gatewayWithUsers is a gateway that knows some users.
type gatewayWithUsers struct {
	*served
	trust *tls.Config
}

func openWithUsers(t *testing.T, options gateway.Options) gatewayWithUsers {
	t.Helper()
	var c gatewayWithUsers
	options.TLS, c.trust = certificate(t)
	options.Users = members{"root": {"$admins"}, "ann": {"auditors"}, "bob": nil}
	c.served = serve(t, memory.New(), options)
	return c
}

// as returns the gateway with a member's credentials, or without credentials if credential is
// empty.
func (c gatewayWithUsers) as(t *testing.T, credential basic) *served {
	t.Helper()
	options := []grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(c.trust))}
	if credential != "" {
		options = append(options, grpc.WithPerRPCCredentials(credential))
	}
	member := *c.served
	member.conn = member.dial(options...)
	member.raw = streams.NewStreamsClient(member.conn)
	return &member
}

func TestCredentials(t *testing.T) {
	racetest.Skip(t, "it is a table of rights, and passwords are slow to check")
	t.Parallel()
	c := openWithUsers(t, gateway.Options{})
	c.write("a", event())
	cases := map[string]struct {
		credential basic
		want       codes.Code
	}{
		"a member":          {as("bob"), codes.OK},
		"nobody":            {"", codes.Unauthenticated},
		"a stranger":        {as("eve"), codes.Unauthenticated},
		"a wrong password":  {basic("Basic " + base64.StdEncoding.EncodeToString([]byte("bob:x"))), codes.Unauthenticated},
		"another scheme":    {basic("Bearer Ym9iOmJvYg=="), codes.Unauthenticated},
		"no colon":          {basic("Basic Ym9i"), codes.Unauthenticated},
		"not base64":        {basic("Basic ???"), codes.Unauthenticated},
		"a small letter":    {basic(strings.Replace(string(as("bob")), "B", "b", 1)), codes.OK},
		"it cannot be told": {as("unlucky"), codes.Unavailable},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := c.as(t, tc.credential)
			a := s.read(ofStream("a"))
			checkRefused(t, a.err, a.trailers, refusal{code: tc.want})
			if _, _, err := s.delete("none", streamExists); tc.want != codes.OK && status.Code(err) != tc.want {
				t.Errorf("delete: %v, want %s", err, tc.want)
			}
			large := event() // it is sent in several frames, and the gateway reads all of them
			large.Data = []byte(`{"x":"` + strings.Repeat("x", 1<<19) + `"}`)
			if _, _, err := s.appendTo("b", anyRevision, event(), large, event()); status.Code(err) != tc.want && tc.want != codes.OK {
				t.Errorf("append: %v, want %s", err, tc.want)
			}
			// Clients call these services without credentials.
			if _, err := gossip.NewGossipClient(s.conn).Read(s.ctx, empty); err != nil {
				t.Errorf("gossip: %v", err)
			}
			if _, err := serverfeatures.NewServerFeaturesClient(s.conn).GetSupportedMethods(s.ctx, empty); err != nil {
				t.Errorf("server features: %v", err)
			}
		})
	}
}

func TestUsersNeedTLS(t *testing.T) {
	t.Parallel()
	if _, err := gateway.New(memory.New(), gateway.Options{Users: members{}}); err == nil {
		t.Error("users were taken without TLS")
	}
	if _, err := gateway.New(nil, gateway.Options{}); err == nil {
		t.Error("no log was taken")
	}
}

// rights returns the rights of a member on a stream, as letters: read, write, delete, metadata
// read, metadata write.
func (c gatewayWithUsers) rights(t *testing.T, name, stream string) string {
	t.Helper()
	s := c.as(t, as(name))
	tell := func(letter string, err error) string {
		switch status.Code(err) {
		case codes.OK:
			return letter
		case codes.PermissionDenied:
			return "-"
		default:
			t.Errorf("%s %s %s: %v", name, letter, stream, err)
			return "?"
		}
	}
	rights := ""
	if stream == "$all" {
		return tell("r", s.read(ofAll()).err)
	}
	rights += tell("r", s.read(ofStream(stream)).err)
	_, _, err := s.appendTo(stream, anyRevision)
	rights += tell("w", err)
	// A caller with the right to do it gets a wrong revision.
	_, _, err = s.tombstone(stream, exact(1<<40))
	if status.Code(err) == codes.FailedPrecondition {
		err = nil
	}
	rights += tell("d", err)
	rights += tell("r", s.read(ofStream("$$"+stream)).err)
	_, _, err = s.appendTo("$$"+stream, anyRevision)
	return rights + tell("w", err)
}

func TestAccess(t *testing.T) {
	racetest.Skip(t, "it is a table of rights, and passwords are slow to check")
	t.Parallel()
	c := openWithUsers(t, gateway.Options{})
	root := c.as(t, as("root"))
	documents := map[string]string{
		"plain":       ``,
		"by-user":     `{"$acl":{"$r":"ann","$w":"ann","$d":"ann","$mr":"ann","$mw":"ann"}}`,
		"by-group":    `{"$acl":{"$r":["nobody","auditors"],"$w":["$admins"]}}`,
		"for-nobody":  `{"$acl":{"$r":[],"$w":[],"$d":[],"$mr":[],"$mw":[]}}`,
		"for-all":     `{"$acl":{"$r":"$all"}}`,
		"like-system": `{"$acl":"$systemStreamAcl"}`,
		"malformed":   `{"$acl":{"$r":7,"$w":null}}`,
		"$system":     ``,
		"$opened":     `{"$acl":{"$r":"$all"}}`,
		"$like-user":  `{"$acl":"$userStreamAcl"}`,
		"$like-none":  `{"$acl":"$userStreamACL"}`,
	}
	for stream, document := range documents {
		// Both are written directly into the log, because the gateway accepts only a document that
		// it can read. An append by the gateway would also make it read the metadata before there
		// is a document, and it would learn of the document only a moment later.
		root.write(stream, event())
		if document != "" {
			root.write("$$"+stream, eventstore.Event{ID: uuid.New(), Type: "$metadata", Data: []byte(document)})
		}
	}
	const all, none = "rwdrw", "-----"
	cases := map[string]struct{ ann, bob string }{
		"plain":       {all, all},
		"by-user":     {all, none},
		"by-group":    {"r-drw", "--drw"},
		"for-nobody":  {none, none},
		"for-all":     {all, all},
		"like-system": {none, none},
		"malformed":   {all, all},
		"$system":     {none, none},
		"$like-none":  {none, none},
		"$opened":     {"r----", "r----"},
		"$like-user":  {all, all},
		"$all":        {"-", "-"},
	}
	for stream, want := range cases {
		t.Run(stream, func(t *testing.T) {
			if got := c.rights(t, "ann", stream); got != want.ann {
				t.Errorf("ann may %s, want %s", got, want.ann)
			}
			if got := c.rights(t, "bob", stream); got != want.bob {
				t.Errorf("bob may %s, want %s", got, want.bob)
			}
			if got := c.rights(t, "root", stream); got != all && got != "r" {
				t.Errorf("an administrator may %s", got)
			}
		})
	}
	refused := c.as(t, as("bob")).read(ofStream("$system"))
	checkRefused(t, refused.err, refused.trailers, refusal{codes.PermissionDenied, map[string]string{"exception": "access-denied"}})

	root.setMetadata("$all", `{"$acl":{"$r":"auditors"}}`)
	if ann, bob := c.rights(t, "ann", "$all"), c.rights(t, "bob", "$all"); ann != "r" || bob != "-" {
		t.Errorf("$all: ann may %s, bob %s", ann, bob)
	}
	settings := typed("settings")
	settings.Data = []byte(`{"$userStreamAcl":{"$w":"$admins"},"$systemStreamAcl":{"$r":["$all"]}}`)
	root.mustAppend("$settings", anyRevision, settings)
	if plain, system := c.rights(t, "bob", "plain"), c.rights(t, "bob", "$system"); plain != "r-drw" || system != "r----" {
		t.Errorf("with other defaults bob may %s and %s", plain, system)
	}
}

// Only callers who may write $settings can change the default lists, whatever stream name somebody
// uses.
func TestOnlyWritersOfSettingsChangeTheDefaults(t *testing.T) {
	t.Parallel()
	c := openWithUsers(t, gateway.Options{})
	root, bob := c.as(t, as("root")), c.as(t, as("bob"))
	root.mustAppend("$secret", noStream, event())
	settings := typed("settings")
	settings.Data = []byte(`{"$userStreamAcl":{"$r":"auditors","$w":"auditors"}}`)
	root.mustAppend("$settings", noStream, settings)
	opened := typed("$metadata")
	opened.Data = []byte(`{"$systemStreamAcl":{"$r":"$all","$w":"$all","$mr":"$all","$mw":"$all"}}`)
	c.write("$$", opened) // as if another program had written it
	for _, stream := range []string{"$$", "$$$$", "$$$$a", "$$$settings"} {
		want := codes.PermissionDenied
		if stream == "$$" {
			want = codes.InvalidArgument
		}
		if _, _, err := bob.appendTo(stream, anyRevision, opened); status.Code(err) != want {
			t.Errorf("append to %s: %v, want %s", stream, err, want)
		}
		if err := bob.read(ofStream(stream)).err; status.Code(err) != want {
			t.Errorf("read of %s: %v, want %s", stream, err, want)
		}
		if _, _, err := bob.tombstone(stream, anyRevision); status.Code(err) != want {
			t.Errorf("end of %s: %v, want %s", stream, err, want)
		}
	}
	link := proposal(typed("$>"))
	link.Metadata["content-type"], link.Data = "application/octet-stream", []byte("0@$$")
	if _, _, err := root.propose("links", noStream, link); err != nil {
		t.Fatal(err)
	}
	root.read(resolving(ofStream("links"))).wants(t, "broken link")
	if plain, secret, all := c.rights(t, "bob", "plain"), c.rights(t, "bob", "$secret"), c.rights(t, "bob", "$all"); plain != "--drw" || secret != "-----" || all != "-" {
		t.Errorf("bob may %s, %s, and %s of $all", plain, secret, all)
	}
	// The metadata of a metadata stream has no effect.
	root.setMetadata("$$a", string(opened.Data))
	root.read(ofStream("$$$$a")).wants(t, "$$$$a/0")
	root.setMetadata("a", `{"$maxCount":1}`)
	root.read(ofStream("$$a")).wants(t, "$$a/0")
}

// A name may have 512 bytes. A stream with such a name can have metadata, can be deleted and ended,
// and a group can follow it. A longer name is refused as too long, in every call.
func TestLongNames(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{Protected: func(string, string) bool { return false }})
		name := strings.Repeat("é", 256) // each has two bytes
		s.mustAppend(name, noStream, event())
		s.setMetadata(name, `{"$maxCount":1}`)
		s.read(ofStream("$$"+name)).wants(t, "$$"+name+"/0")
		s.mustDelete(name)
		s.read(ofStream(name)).wants(t, "not found "+name)
		s.mustAppend(name, anyRevision, event())
		s.read(ofStream(name)).wants(t, name+"/1")
		s.mustTombstone(name)

		for _, long := range []string{name + "n", "$$" + name + "n"} {
			tell := func(way string, err error, trailers metadata.MD) {
				t.Helper()
				checkRefused(t, err, trailers, refusal{code: codes.InvalidArgument})
				if !strings.Contains(status.Convert(err).Message(), "has 513 bytes, over the limit of 512") {
					t.Errorf("%s: the error is %v", way, err)
				}
			}
			a := s.read(ofStream(long))
			tell("read", a.err, a.trailers)
			_, trailers, err := s.appendTo(long, anyRevision, event())
			tell("append", err, trailers)
			_, trailers, err = s.delete(long, anyRevision)
			tell("delete", err, trailers)
			_, trailers, err = s.tombstone(long, anyRevision)
			tell("tombstone", err, trailers)
		}
	})
}

// A subscription needs the right to read. A tombstone by Append needs the right to delete. A link
// shows its target only to readers who may read the target.
func TestAccessByOtherWays(t *testing.T) {
	t.Parallel()
	c := openWithUsers(t, gateway.Options{})
	root, bob := c.as(t, as("root")), c.as(t, as("bob"))
	root.mustAppend("secret", noStream, event())
	root.setMetadata("secret", `{"$acl":{"$r":"$admins","$d":"$admins"}}`)
	denial := refusal{codes.PermissionDenied, map[string]string{"exception": "access-denied"}}

	a := bob.read(following(ofStream("secret")))
	checkRefused(t, a.err, a.trailers, denial)
	a = bob.read(following(ofAll()))
	checkRefused(t, a.err, a.trailers, denial)
	// bob is refused before the filter is parsed.
	a = bob.read(filtered(ofAll(), onType(32, regex(`(`))))
	checkRefused(t, a.err, a.trailers, denial)
	_, trailers, err := bob.appendTo("secret", anyRevision, typed("$streamDeleted"))
	checkRefused(t, err, trailers, refusal{code: codes.InvalidArgument})

	link := proposal(typed("$>"))
	link.Metadata["content-type"], link.Data = "application/octet-stream", []byte("0@secret")
	if _, _, err := bob.propose("links", noStream, link); err != nil {
		t.Fatal(err)
	}
	bob.read(resolving(ofStream("links"))).wants(t, "broken link")
	root.read(resolving(ofStream("links"))).wants(t, "secret/0 by links/0")
	bob.subscribe(t, resolving(ofStream("links"))).wants("confirmation", "broken link", "caught up")
	root.subscribe(t, resolving(ofStream("links"))).wants("confirmation", "secret/0 by links/0", "caught up")
	root.setMetadata("$all", `{"$acl":{"$r":"bob"}}`)
	everything := filtered(ofAll(), onStream(32, prefixes("links")))
	bob.read(resolving(everything)).wants(t, "broken link")
	bob.read(resolving(backwards(fromEnd(everything)))).wants(t, "broken link")
}

// An open subscription ends when its caller may no longer read the stream, whichever document says
// so. The subscription of somebody who still may read it goes on.
func TestOpenSubscriptionsAreAuthorizedAgain(t *testing.T) {
	t.Parallel()
	const forBob, forAdmins = `{"$acl":{"$r":"bob","$mr":"bob"}}`, `{"$acl":{"$r":"$admins","$mr":"$admins"}}`
	persisted := func(stream string) func(*testing.T, *served, *served) func() error {
		return func(t *testing.T, root, bob *served) func() error { return openGroup(t, root, bob, stream) }
	}
	plain := func(options *streams.ReadReq_Options) func(*testing.T, *served, *served) func() error {
		return func(t *testing.T, _, bob *served) func() error {
			sub := bob.subscribe(t, options)
			return func() error { _, err := sub.call.Recv(); return err }
		}
	}
	kinds := map[string]struct {
		stream string
		open   func(t *testing.T, root, bob *served) (next func() error)
	}{
		"a stream":            {"secret", plain(ofStream("secret"))},
		"its metadata":        {"secret", plain(ofStream("$$secret"))},
		"$all":                {"$all", plain(ofAll())},
		"$all with a filter":  {"$all", plain(filtered(ofAll(), onStream(32, prefixes("secret"))))},
		"a group of a stream": {"secret", persisted("secret")},
		"a group of $all":     {"$all", persisted("$all")},
	}
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := openWithUsers(t, gateway.Options{})
			root, bob := c.as(t, as("root")), c.as(t, as("bob"))
			root.mustAppend("secret", noStream, event())
			root.setMetadata(kind.stream, forBob)
			next := kind.open(t, root, bob)
			mustDo(t, "the confirmation", next())
			ended := make(chan error, 1)
			go func() {
				for {
					if err := next(); err != nil {
						ended <- err
						return
					}
				}
			}()
			root.setMetadata(kind.stream, forAdmins)
			wantDenied(t, ended)
		})
	}
	t.Run("the defaults", func(t *testing.T) {
		t.Parallel()
		c := openWithUsers(t, gateway.Options{})
		root, ann, bob := c.as(t, as("root")), c.as(t, as("ann")), c.as(t, as("bob"))
		root.mustAppend("plain", noStream, event())
		stays, ends := ann.subscribe(t, ofStream("plain")), bob.subscribe(t, ofStream("plain"))
		for _, sub := range []*subscription{stays, ends} {
			sub.wants("confirmation", "plain/0", "caught up")
		}
		settings := typed("settings")
		settings.Data = []byte(`{"$userStreamAcl":{"$r":"ann"}}`)
		root.mustAppend("$settings", anyRevision, settings)
		ended := make(chan error, 1)
		go func() { _, err := ends.call.Recv(); ended <- err }()
		wantDenied(t, ended)
		root.mustAppend("plain", anyRevision, event())
		stays.wants("plain/1")
	})
}

// openGroup makes a group as root and joins it as bob.
func openGroup(t *testing.T, root, bob *served, stream string) (next func() error) {
	t.Helper()
	create := &persistent.CreateReq_Options{
		GroupName: group, Settings: &persistent.CreateReq_Settings{ReadBatchSize: 1, HistoryBufferSize: 10, LiveBufferSize: 10, ConsumerStrategy: "RoundRobin"},
	}
	join := &persistent.ReadReq_Options{GroupName: group, BufferSize: 10}
	if stream == "$all" {
		create.StreamOption = &persistent.CreateReq_Options_All{All: &persistent.CreateReq_AllOptions{
			AllOption:    &persistent.CreateReq_AllOptions_Start{Start: empty},
			FilterOption: &persistent.CreateReq_AllOptions_NoFilter{NoFilter: empty},
		}}
		join.StreamOption = &persistent.ReadReq_Options_All{All: empty}
	} else {
		create.StreamOption = &persistent.CreateReq_Options_Stream{Stream: &persistent.CreateReq_StreamOptions{
			StreamIdentifier: named(stream), RevisionOption: &persistent.CreateReq_StreamOptions_Start{Start: empty},
		}}
		join.StreamOption = &persistent.ReadReq_Options_StreamIdentifier{StreamIdentifier: named(stream)}
	}
	_, err := persistent.NewPersistentSubscriptionsClient(root.conn).Create(root.ctx, &persistent.CreateReq{Options: create})
	mustDo(t, "create the group", err)
	call, err := persistent.NewPersistentSubscriptionsClient(bob.conn).Read(bob.ctx)
	mustDo(t, "join the group", err)
	mustDo(t, "join the group", call.Send(&persistent.ReadReq{Content: &persistent.ReadReq_Options_{Options: join}}))
	return func() error { _, err := call.Recv(); return err }
}

// wantDenied waits until a subscription has ended, and checks that it was refused.
func wantDenied(t *testing.T, ended <-chan error) {
	t.Helper()
	select {
	case err := <-ended:
		if status.Code(err) != codes.PermissionDenied {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it goes on, although the caller may no longer read")
	}
}

// No client can write the program's own streams and event types, by any method.
func TestProtectedStreams(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{Protected: func(stream, eventType string) bool {
			return strings.HasPrefix(stream, "order-") || strings.HasPrefix(eventType, "order.")
		}})
		s.write("order-1", typed("order.placed.v1"))
		before, err := store.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		denial := refusal{codes.PermissionDenied, map[string]string{"exception": "access-denied"}}
		check := func(trailers metadata.MD, err error) {
			t.Helper()
			checkRefused(t, err, trailers, denial)
		}
		_, trailers, err := s.appendTo("order-1", anyRevision, event())
		check(trailers, err)
		_, trailers, err = s.appendTo("order-1", anyRevision)
		check(trailers, err)
		_, trailers, err = s.appendTo("foreign", anyRevision, event(), typed("order.placed.v1"))
		check(trailers, err)
		_, trailers, err = s.appendTo("$$order-1", anyRevision, typed("$metadata"))
		check(trailers, err)
		_, trailers, err = s.delete("order-1", anyRevision)
		check(trailers, err)
		_, trailers, err = s.tombstone("order-1", anyRevision)
		check(trailers, err)
		_, trailers, err = s.tombstone("$$order-1", anyRevision)
		check(trailers, err)
		after, err := store.Head(t.Context())
		if err != nil || after != before {
			t.Errorf("the log went from %s to %s, %v", before, after, err)
		}
		s.mustAppend("foreign", noStream, event())
		s.read(ofStream("order-1")).wants(t, "order-1/0")
	})
}

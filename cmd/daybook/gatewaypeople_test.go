package main

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"daybook/domain/access"
	"daybook/internal/httpapi"
	"daybook/internal/problem"
)

// openPeopled starts a server with a gateway over a database that the test may change.
func openPeopled(t *testing.T, args ...string) *keyedGateway {
	t.Helper()
	cert, key := certificate(t)
	s := openKeyed(t, append(args, "--gateway", "127.0.0.1:0", "--gateway-cert", cert, "--gateway-key", key)...)
	s.gateway += "&tlsCAFile=" + cert
	return &keyedGateway{t: t, keyedShop: *s, admin: s.keys["admin"]}
}

// readsRaw reads a stream with these headers authorization.
func (g *keyedGateway) readsRaw(line *grpc.ClientConn, stream string, authorization ...string) error {
	g.t.Helper()
	ctx := g.t.Context()
	for _, one := range authorization {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", one)
	}
	return gatewayAttacks["/event_store.client.streams.Streams/Read"](ctx, line, stream)
}

// change changes the database of the server.
func (s *keyedShop) change(query string, values ...any) {
	s.t.Helper()
	connection, err := pgx.Connect(s.t.Context(), s.database)
	if err != nil {
		s.t.Fatal(err)
	}
	defer connection.Close(s.t.Context())
	if done, err := connection.Exec(s.t.Context(), query, values...); err != nil || done.RowsAffected() == 0 {
		s.t.Fatalf("%s: %v, %v", query, done, err)
	}
}

// People who have signed in use the gateway as far as their roles allow, with the e-mail address
// and the session, or with the session alone.
func TestPeopleUseTheGateway(t *testing.T) {
	t.Parallel()
	g := openPeopled(t)
	g.must(g.admin, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked"}`)
	line := dialRaw(t, g.gateway)
	for _, c := range []struct {
		role                     access.Role
		admitted, reads, manages bool
	}{
		{role: access.Auditor, admitted: true, reads: true},
		{role: access.Analyst, admitted: true, reads: true},
		{role: access.Operator, admitted: true, manages: true},
		{role: access.Storefront},
	} {
		role := c.role
		email := string(role) + "@shop.example"
		g.hire(email, role)
		session := g.mustSignIn(email)
		denied := esdb.ErrorCodeAccessDenied
		if !c.admitted {
			denied = esdb.ErrorCodeUnauthenticated
		}
		client := g.as(strings.ToUpper(email[:1])+email[1:], session)
		expect := func(what string, may bool, err error) {
			t.Helper()
			if may && err != nil {
				t.Errorf("%s %s: %v", role, what, err)
			}
			if !may {
				wantCode(t, string(role)+" "+what, err, denied)
			}
		}
		expect("reads the shop's stream", c.reads, g.reads(client, "product-MUG"))
		expect("reads $all", c.reads, g.reads(client, "$all"))
		_, err := client.AppendToStream(t.Context(), "notes", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, note(1))
		expect("writes a stream", false, err)
		expect("makes a group of consumers", c.manages, client.CreatePersistentSubscription(t.Context(), "notes", "group-"+string(role), esdb.PersistentStreamSubscriptionOptions{}))
		if err := g.readsRaw(line, "product-MUG", "Bearer "+session); (err == nil) != c.reads {
			t.Errorf("%s reads with a bearer token: %v", role, err)
		}
	}
	// The holder of a key may send it as a bearer token, too.
	if err := g.readsRaw(line, "product-MUG", "bearer "+g.keys["auditor"]); err != nil {
		t.Errorf("a key as a bearer token: %v", err)
	}
	// The rights that a client writes into a stream can name a person.
	eve := g.hire("eve@shop.example", access.Operator)
	admin, client := g.with(g.admin), g.as("eve@shop.example", g.mustSignIn("eve@shop.example"))
	acl := esdb.Acl{}
	acl.AddReadRoles("staff:" + eve)
	meta := esdb.StreamMetadata{}
	meta.SetAcl(acl)
	if _, err := admin.SetStreamMetadata(t.Context(), "hers", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, meta); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.AppendToStream(t.Context(), "hers", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, note(1)); err != nil {
		t.Fatal(err)
	}
	if err := g.reads(client, "hers"); err != nil {
		t.Errorf("eve reads a stream that names her: %v", err)
	}
	wantCode(t, "another operator reads it", g.reads(g.as("operator@shop.example", g.mustSignIn("operator@shop.example")), "hers"), esdb.ErrorCodeAccessDenied)
}

// Attacks on people who use the gateway.
func TestTheGatewayRefusesWhoHasNotSignedIn(t *testing.T) {
	t.Parallel()
	g := openPeopled(t, "--admin-address", "127.0.0.1:0")
	g.must(g.admin, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked"}`)
	const email = "eve@shop.example"
	g.hire(email, access.Auditor)
	g.hire("ann@shop.example", access.Auditor)
	signedIn := g.signIn(email, goodPassword)
	session := signedIn.session
	signedOut := g.mustSignIn(email)
	if got := g.inSession(signedOut, http.MethodPost, "/v1/auth/sign-out"); got.status != http.StatusOK {
		t.Fatalf("sign out: %+v", got)
	}
	idle, old := g.mustSignIn(email), g.mustSignIn(email)
	g.change(`UPDATE commands.people_sessions SET used_at = used_at - interval '31 minutes' WHERE hash = encode(sha256(convert_to($1, 'UTF8')), 'hex')`, strings.TrimPrefix(idle, "dbs_"))
	g.change(`UPDATE commands.people_sessions SET expires_at = now() WHERE hash = encode(sha256(convert_to($1, 'UTF8')), 'hex')`, strings.TrimPrefix(old, "dbs_"))
	// A person whose role has got a right that needs a second factor since they signed in.
	g.must(g.admin, http.MethodPut, "/v1/roles/reader", `{"grants":[{"permission":"events.read","reach":"all"}]}`)
	g.hire("una@shop.example", "reader")
	unenrolled := g.mustSignIn("una@shop.example")
	if err := g.reads(g.as("una@shop.example", unenrolled), "product-MUG"); err != nil {
		t.Fatalf("before the role has the right: %v", err)
	}
	g.must(g.admin, http.MethodPut, "/v1/roles/reader", `{"grants":[{"permission":"events.read","reach":"all"},{"permission":"catalogue.write","reach":"all"}]}`)
	// An admin who has no second factor yet has only the token of a step.
	g.hire("owner@shop.example", access.Admin)
	step := member(t, g.signIn("owner@shop.example", goodPassword).text, "step_token")
	invitation := member(t, g.must(g.admin, http.MethodPost, "/v1/staff", `{"email":"new@shop.example","name":"New","role":"auditor"}`), "token")
	// A role that cannot use the gateway.
	g.hire("shop@shop.example", access.Storefront)

	for name, c := range map[string]struct{ user, password string }{
		"the person's password":           {email, goodPassword},
		"no password":                     {email, ""},
		"another person's address":        {"ann@shop.example", session},
		"an unknown address":              {"nobody@shop.example", session},
		"a name that is no address":       {"eve", session},
		"a session that has ended":        {email, signedOut},
		"an idle session":                 {email, idle},
		"a session of 12 hours":           {email, old},
		"a session without its factor":    {"una@shop.example", unenrolled},
		"half a sign-in":                  {"owner@shop.example", step},
		"an invitation":                   {"new@shop.example", invitation},
		"a known browser":                 {email, signedIn.browser},
		"a session that is cut":           {email, session[:len(session)-1]},
		"another digit":                   {email, session[:len(session)-1] + "x"},
		"a key":                           {email, g.keys["admin"]},
		"a session under a key's name":    {strings.Split(g.keys["admin"], "_")[1], session},
		"a role that has no right there":  {"shop@shop.example", g.mustSignIn("shop@shop.example")},
		"a customer's key":                {strings.Split(g.keys["customer alice"], "_")[1], g.keys["customer alice"]},
		"a session as a token of another": {oidcName, session},
	} {
		for _, stream := range []string{"product-MUG", "$all", "notes"} {
			wantCode(t, name+" reads "+stream, g.reads(g.as(c.user, c.password), stream), esdb.ErrorCodeUnauthenticated)
		}
	}
	if err := g.reads(g.as(email, session), "product-MUG"); err != nil {
		t.Errorf("the good session: %v", err)
	}
	line := dialRaw(t, g.gateway)
	_, guest := g.openAsGuest(g.keys["storefront"], `{"currency":"GBP"}`)
	for name, headers := range map[string][]string{
		"a session that has ended": {"Bearer " + signedOut}, "an idle session": {"Bearer " + idle}, "half a sign-in": {"Bearer " + step},
		"no token": {"Bearer "}, "a token of nothing": {"Bearer x"}, "a token of no issuer": {"Bearer a.b.c"}, "a guest": {"Bearer " + guest},
		"a session without a name": {"Basic " + base64.StdEncoding.EncodeToString([]byte(":"+session))},
		"another scheme":           {"Digest " + session}, "no scheme": {session}, "a customer": {"Bearer " + g.keys["customer alice"]},
		"two headers": {"Bearer " + session, "Bearer " + session}, "a known browser": {"Bearer " + signedIn.browser},
	} {
		if err := g.readsRaw(line, "product-MUG", headers...); status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := g.readsRaw(line, "product-MUG", "Bearer "+session); err != nil {
		t.Errorf("the good session: %v", err)
	}
	if err := g.readsRaw(line, "product-MUG"); status.Code(err) != codes.Unauthenticated {
		t.Errorf("no credentials: %v", err)
	}
	metrics := scrape(t, g.running.admin)
	for _, reason := range []string{httpapi.ReasonWrongKey, problem.CodeForbidden, problem.CodeCredentials} {
		if got := refusedCalls(metrics, reason); got == "" || got == "0" {
			t.Errorf("calls that were refused for the reason %s: %q", reason, got)
		}
	}
	for _, secret := range []string{session, signedOut, step, goodPassword, email, "shop.example", guest} {
		if strings.Contains(g.log.String(), secret) {
			t.Errorf("the log has %s", secret)
		}
	}
}

// Calls of the gateway and requests of the HTTP API count together, and refused calls are counted
// by reason. Somebody who guesses at an address does not lock out a person who has just signed in
// there.
func TestTheGatewayHasTheLimitsOfTheAPI(t *testing.T) {
	t.Parallel()
	g := openPeopled(t, "--wrong-keys-per-address", "0.2", "--requests-per-person", "0.5", "--admin-address", "127.0.0.1:0")
	const email = "eve@shop.example"
	g.hire(email, access.Auditor)
	session := g.mustSignIn(email)
	line := dialRaw(t, g.gateway)
	guess := func(what, authorization string) {
		t.Helper()
		for tries := 0; ; tries++ {
			got := status.Code(g.readsRaw(line, "notes", authorization))
			if got == codes.ResourceExhausted {
				return
			}
			if got != codes.Unauthenticated || tries > 5 {
				t.Errorf("try %d with %s: %v", tries, what, got)
				return
			}
		}
	}
	guess("a wrong session", "Bearer dbs_"+strings.Repeat("0", 64))
	guess("a wrong key", "Bearer "+nobodysKey)
	if got, _ := g.ask(nobodysKey, http.MethodGet, "/v1/auth/me", ""); got != http.StatusTooManyRequests {
		t.Errorf("a wrong key by HTTP: %d", got)
	}
	if got := status.Code(g.readsRaw(line, "notes")); got != codes.Unauthenticated {
		t.Errorf("without credentials: %v", got)
	}
	if err := g.readsRaw(line, "$all", "Bearer "+session); err != nil {
		t.Errorf("a session that has just begun: %v", err)
	}
	// A person has five requests at once, in both ways together.
	over := 0
	for range 6 {
		if status.Code(g.readsRaw(line, "$all", "Bearer "+session)) == codes.ResourceExhausted {
			over++
		}
	}
	metrics := scrape(t, g.running.admin)
	if got := refusedCalls(metrics, problem.CodeRateLimited); got == "" || got == "0" {
		t.Errorf("calls over a limit: %q", got)
	}
	if got := g.inSession(session, http.MethodGet, "/v1/auth/me"); over == 0 || got.status != http.StatusTooManyRequests {
		t.Errorf("a person over the limit: %d calls, and by HTTP %+v", over, got)
	}
}

// refusedCalls is how many calls of the gateway were refused for a reason.
func refusedCalls(metrics, reason string) string {
	return valueOf(metrics, `daybook_gateway_calls_refused_total{reason="`+reason+`"}`)
}

// inSession sends a request without a body over HTTP in a session.
func (g *keyedGateway) inSession(session, method, path string) answer {
	g.t.Helper()
	return g.keyedShop.as(session, method, path, "")
}

package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"
	"github.com/gorilla/mux"

	"daybook/domain/access"
	"daybook/domain/unit"
	"daybook/internal/apidoc"
	"daybook/internal/personal"
	"daybook/internal/problem"
)

// Access tells who sends requests. The program cmd/daybook implements it with packages keyring,
// signin and idtoken.
type Access interface {
	// Authenticate returns the holder of an API key, or of another token that a client sends as a
	// bearer token. The error says why it is not good.
	Authenticate(ctx context.Context, key string) (access.Principal, error)
	// Session returns the person who holds a session. The error says why the token is not good.
	Session(ctx context.Context, token string) (access.Principal, error)
	// While returns a context that ends when the rights of a principal change.
	While(ctx context.Context, who access.Principal) (_ context.Context, stop func())
}

// headerActFor names the customer for whom a storefront acts.
const headerActFor = "Daybook-Act-For"

// headerActor says who sends the request. With access control, Access says that. Then a request
// with another name in this header is refused.
const headerActor = "Daybook-Actor"

// UnreadyError means that Access cannot tell yet who sends a request. The response to the request
// is Cause.
type UnreadyError struct{ Cause error }

func (e *UnreadyError) Error() string {
	return "requests cannot be authenticated yet: " + e.Cause.Error()
}

func (e *UnreadyError) Unwrap() error { return e.Cause }

// errNotBearer does not quote the scheme, because a client that leaves it out sends its key in that
// place.
var errNotBearer = errors.New("the scheme of Authorization is not Bearer")

// errNoKey means that a request has neither an API key nor a session.
var errNoKey = errors.New("no API key")

// errManyHeaders means that a request has the header Authorization several times, so it is not
// clear who sends it. A proxy may have checked another one than this server would.
var errManyHeaders = errors.New("there are several headers Authorization")

// errManyCookies means that a request has several session cookies, so it is not clear who sends it.
var errManyCookies = errors.New("there are several cookies named " + problem.SessionCookie)

// headerPage is a header that a request in a session needs if it changes something. It protects
// sessions from pages of other sites: before a browser sends such a page's request with this
// header, it asks this server whether the page may do so.
const headerPage = "X-Requested-With"

// identify notes who sends a request. Without Options.Access everyone may do everything.
func (f *front) identify(r *http.Request, record *problem.Request) error {
	if browser, err := r.Cookie(problem.BrowserCookie); err == nil {
		record.Browser = browser.Value
	}
	if f.access == nil {
		record.Who = access.Everyone
		return checkActor(r.Header.Get(headerActor))
	}
	who, err := f.authenticate(r, record.Client)
	if path := r.URL.EscapedPath(); err != nil && (isProbe(path) || f.open.has(path)) {
		if isWrong(err) {
			f.allowances.noteWrong(record.Client)
		}
		return nil // the sender is nobody
	}
	if unready, is := errors.AsType[*UnreadyError](err); is {
		return unready.Cause
	}
	if wrong, is := errors.AsType[*problem.Document](err); is {
		return wrong
	}
	if errors.Is(err, errNoKey) && f.guests != nil {
		record.Who, record.Anonymous = f.guests(), true
		return nil
	}
	if errors.Is(err, errNoKey) {
		return unauthenticated(r, nil)
	}
	if err != nil {
		return unauthenticated(r, err)
	}
	record.Who = who
	checked := f.allowances.now()
	record.Recheck = func() error {
		if f.allowances.now().Sub(checked) < recheckAfter {
			return nil
		}
		return f.recheck(r, record)
	}
	record.WhileAllowed = func(ctx context.Context) (context.Context, func()) { return f.access.While(ctx, who) }
	return nil
}

// recheckAfter is how long the rights of a request's sender are taken to be the same.
const recheckAfter = 500 * time.Millisecond

// errRightsChanged means that a request has waited, and the rights of its sender have changed
// meanwhile. The sender may have other rights now, so it can try again.
var errRightsChanged = errors.New("the rights have changed while the request waited")

// recheck refuses a request if the rights of its sender are not the same any more.
func (f *front) recheck(r *http.Request, record *problem.Request) error {
	who, err := f.authenticate(r, record.Client)
	if unready, is := errors.AsType[*UnreadyError](err); is {
		return unready.Cause
	}
	if wrong, is := errors.AsType[*problem.Document](err); is {
		return wrong
	}
	if err == nil && !reflect.DeepEqual(who, record.Who) {
		err = errRightsChanged
	}
	if err != nil {
		return unauthenticated(r, err)
	}
	return nil
}

// unauthenticated is the problem of a request without good credentials.
func unauthenticated(r *http.Request, cause error) *problem.Document {
	refused := problem.Unauthenticated(cause)
	if isDocs(r) {
		return refused.AskPassword() // a person sends it, with a browser
	}
	return refused
}

// isWrong tells whether an error of authenticate means that the credentials are not good.
func isWrong(err error) bool {
	_, unready := errors.AsType[*UnreadyError](err)
	_, refused := errors.AsType[*problem.Document](err) // the credentials are good, or were not checked
	return !unready && !refused && !errors.Is(err, errNoKey)
}

// checkActor refuses an actor whose name would look like one that was authenticated. Without access
// control, everybody may name any other actor.
func checkActor(actor string) error {
	if prefix := access.AuthenticatedPrefix(actor); prefix != "" {
		return problem.NotValid(problem.InParameter("header", headerActor, "only somebody who was authenticated has a name that begins with "+prefix))
	}
	return nil
}

// isProbe tells whether a path is one of the probes, which need no credentials. The path is as the
// client wrote it, because the router compares this form, too: at /%6Civez there is no probe.
func isProbe(path string) bool { return path == "/livez" || path == "/readyz" }

// authenticate returns who sends a request, with the customer for whom they act. If the request has
// the header Authorization, its cookie is not read.
func (f *front) authenticate(r *http.Request, client string) (access.Principal, error) {
	given := r.Header.Values("Authorization")
	switch {
	case len(given) == 0:
		return f.session(r, client)
	case len(given) > 1:
		return access.Principal{}, errManyHeaders
	}
	scheme, key, _ := strings.Cut(given[0], " ")
	if password, is := basicKey(r); is {
		key = password
	} else if !strings.EqualFold(scheme, "Bearer") {
		return access.Principal{}, errNotBearer
	}
	key = strings.TrimSpace(key)
	check := Check(f.access.Authenticate)
	if strings.Contains(key, ".") { // a token of an issuer, because no key has a point
		check = f.allowances.Throttled(client, check)
	}
	who, err := check(r.Context(), key)
	if err != nil {
		return access.Principal{}, err
	}
	return actingFor(r, who)
}

// noteSession remembers the session that a sign-in has begun. Otherwise the first request of the
// session would be refused while somebody at the same address guesses.
func (f *front) noteSession(header http.Header) {
	for _, line := range header.Values("Set-Cookie") {
		if cookie, err := http.ParseSetCookie(line); err == nil && cookie.Name == problem.SessionCookie && cookie.Value != "" {
			f.allowances.recent.note(cookie.Value, f.allowances.now())
		}
	}
}

// session returns the person whose session a request has.
func (f *front) session(r *http.Request, client string) (access.Principal, error) {
	cookies := r.CookiesNamed(problem.SessionCookie)
	switch {
	case len(cookies) == 0:
		return access.Principal{}, errNoKey
	case len(cookies) > 1:
		return access.Principal{}, errManyCookies
	}
	who, err := f.allowances.Throttled(client, f.access.Session)(r.Context(), cookies[0].Value)
	if err != nil {
		return access.Principal{}, err
	}
	// A browser adds the cookie to every request, also to one that a page of another site makes it
	// send. CrossOriginProtection cannot tell a page from a program if the browser sends neither
	// Origin nor Sec-Fetch-Site.
	if r.Method != http.MethodGet && r.Header.Get(headerPage) == "" {
		return access.Principal{}, problem.HeaderRequired(headerPage)
	}
	return actingFor(r, who)
}

// actingFor adds the customer for whom the sender of a request acts. A header without a customer is
// refused. Otherwise a storefront that lost the customer's id by mistake would reach the things of
// all customers.
func actingFor(r *http.Request, who access.Principal) (_ access.Principal, err error) {
	actors, customers := r.Header.Values(headerActor), r.Header.Values(headerActFor)
	switch {
	case len(actors) > 1:
		return access.Principal{}, problem.NotValid(problem.InParameter("header", headerActor, faultTwice))
	case len(actors) == 1 && actors[0] != "" && actors[0] != who.ID:
		return access.Principal{}, problem.FieldsForbidden(problem.InParameter("header", headerActor, "the actor is who sends the request: "+who.ID))
	case len(customers) == 0:
		return who, nil
	case !who.May(access.ActForCustomers):
		return access.Principal{}, problem.Forbidden(access.ActForCustomers)
	case len(customers) > 1:
		return access.Principal{}, problem.NotValid(problem.InParameter("header", headerActFor, faultTwice))
	}
	if who.ActsFor, err = unit.ParseCustomerID(customers[0]); err != nil {
		return access.Principal{}, problem.NotValid(problem.InParameter("header", headerActFor, err.Error()))
	}
	return who, nil
}

// authorise refuses a request whose sender lacks the permission of its operation. It comes before
// all other middlewares. Otherwise a sender without the permission could get an answer that is kept
// under an idempotency key.
func authorise(ctx huma.Context, next func(huma.Context)) {
	r, w := humamux.Unwrap(ctx)
	if err := allowed(r, problem.Needs(ctx.Operation().Metadata)); err != nil {
		problem.Write(w, r, err)
		return
	}
	next(ctx)
}

// withholding takes personal data out of response bodies, unless the sender of the request sees it
// in what the operation reads or changes. It comes before the ETag is made, so the two forms of a
// body have different ETags.
func withholding(from *personal.Withholder) huma.Transformer {
	return func(ctx huma.Context, _ string, body any) (any, error) {
		if problem.RequestOf(ctx.Context()).Who.SeesPersonal(problem.Needs(ctx.Operation().Metadata)) {
			return body, nil
		}
		return from.Body(body), nil
	}
}

// allowed tells whether the sender of a request has a permission.
func allowed(r *http.Request, needs access.Permission) error {
	record := problem.RequestOf(r.Context())
	who := record.Who
	switch {
	case needs != access.Open && record.Anonymous && !forNewGuests(r, needs):
		return unauthenticated(r, nil)
	case needs == access.Open || who.May(needs):
		return nil
	case who.Scope.Bars(needs) && who.Grants[needs] != access.None:
		return problem.ForbiddenByScope(needs)
	}
	return problem.Forbidden(needs)
}

// forNewGuests tells whether a guest who has no token yet may send a request. Such a guest has
// nothing and is nobody, so all that is left is the catalogue, the API's document and a new cart.
// What is below /v1/auth/ is about the sender.
func forNewGuests(r *http.Request, needs access.Permission) bool {
	looks := needs == access.Look && !strings.HasPrefix(r.URL.Path, "/v1/auth/")
	return looks || needs == access.ReadCatalogue || opensCart(r)
}

// guarded is a handler that is not an operation of the document, with the permission that it needs.
type guarded struct {
	needs   access.Permission
	handler http.HandlerFunc
}

func (g guarded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := allowed(r, g.needs); err != nil {
		problem.Write(w, r, err)
		return
	}
	g.handler(w, r)
}

// requirePermission writes the permission of an operation into the document. It panics if the
// operation does not say which permission it needs. So nobody can open a new route to everyone by
// mistake.
func requirePermission(_ *huma.OpenAPI, op *huma.Operation) {
	needs := problem.Needs(op.Metadata)
	if needs != access.Open && !needs.Known() {
		panic("the operation " + op.OperationID + " does not say which permission it needs")
	}
	if needs == access.Open {
		op.Security = []map[string][]string{{}, {apidoc.SchemeKey: {}}} // a key is not needed; with one, the response may have more
		return
	}
	op.Security = []map[string][]string{{apidoc.SchemeKey: {}}}
	op.Extensions = map[string]any{"x-permission": needs}
}

// checkRoutes panics if a route is neither an operation nor guarded, as requirePermission does for
// an operation. A documented operation at the same path, with another method, is not enough.
func checkRoutes(router *mux.Router, document *huma.OpenAPI) {
	err := router.Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		path, err := route.GetPathTemplate()
		if err != nil {
			return err
		}
		plain, is := route.GetHandler().(guarded)
		if is && (plain.needs == access.Open || plain.needs.Known()) {
			return nil
		}
		// A route without methods takes every method, so it is no operation.
		methods, err := route.GetMethods()
		if is || err != nil || !areOperations(document, path, methods) {
			return fmt.Errorf("the route %v %s does not say which permission it needs", methods, path)
		}
		return nil
	})
	if err != nil {
		panic(err)
	}
}

// areOperations tells whether the document has an operation for each of the methods at a path.
func areOperations(document *huma.OpenAPI, path string, methods []string) bool {
	item := document.Paths[path]
	return !slices.ContainsFunc(methods, func(method string) bool {
		hidden := path == hiddenDocument && method == http.MethodGet
		return !hidden && (item == nil || !hasOperation(item, method))
	})
}

// hasOperation tells whether an operation has this method.
func hasOperation(item *huma.PathItem, method string) bool {
	return slices.ContainsFunc([]*huma.Operation{
		item.Get, item.Put, item.Post, item.Delete, item.Options, item.Head, item.Patch, item.Trace,
	}, func(op *huma.Operation) bool { return op != nil && op.Method == method })
}

// pathSet are paths of the document. A part in braces stands for any part that is not empty.
type pathSet map[string]bool

// has tells whether a path, as it was sent, is one of them.
func (s pathSet) has(path string) bool {
	if s[path] {
		return !strings.Contains(path, "{")
	}
	parts := strings.Split(path, "/")
	for template, in := range s {
		wanted := strings.Split(template, "/")
		if !in || !strings.Contains(template, "{") || len(wanted) != len(parts) {
			continue
		}
		same := true
		for i, part := range wanted {
			same = same && (part == parts[i] || strings.HasPrefix(part, "{") && parts[i] != "")
		}
		if same {
			return true
		}
	}
	return false
}

// openPaths returns the paths whose operations all need no permission.
func openPaths(document *huma.OpenAPI) pathSet {
	open := pathSet{}
	for path, item := range document.Paths {
		all := true
		for _, op := range []*huma.Operation{item.Get, item.Put, item.Post, item.Delete, item.Patch} {
			all = all && (op == nil || problem.Needs(op.Metadata) == access.Open)
		}
		open[path] = all
	}
	return open
}

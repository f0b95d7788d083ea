// Package httpapi is the common front of the command API and the read API. It has the router, the
// OpenAPI document and its page. It gives every request an id, a line in the log and limits, and it
// turns errors into problem documents.
//
// The routes are registered by commandapi and readapi. Each names the permission that it needs. The
// front finds out who sends a request, and refuses it without credentials (401) or without the
// permission (403), before anything else looks at it.
package httpapi

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"
	"github.com/go-json-experiment/json"
	"github.com/gorilla/mux"

	"daybook/domain/access"
	"daybook/internal/apidoc"
	"daybook/internal/personal"
	"daybook/internal/problem"
)

// Options are the options of the API.
type Options struct {
	Version string // of the program, shown in the document
	Logger  *slog.Logger
	// PublicHosts are further host names of the server, such as the name of a proxy in front of it:
	// see ParsePublicHost. Loopback addresses and "localhost" are always allowed. Requests for
	// other hosts are refused (421).
	PublicHosts []string
	// CORSOrigins are the origins of other sites whose pages may use the API from a
	// browser, such as https://shop.example; see ParseOrigin. By default there are none.
	CORSOrigins []string
	// Proxies are the addresses and networks of the proxies in front of the server, such as
	// 10.0.0.0/8; see ParseProxy. The server believes them when ProxyHeader (ForwardedFor or
	// Forwarded) says who their client is. A request that does not come through one of them is
	// refused (403), unless it has TLS or is from this machine.
	Proxies     []string
	ProxyHeader string
	// BodyBudget is how many bytes the bodies of all requests together may have in memory; 0 stands
	// for DefaultBodyBudget. A request beyond it waits for up to BodyWait (0 stands for 2 s). Then
	// it is refused (503).
	BodyBudget int64
	BodyWait   time.Duration
	// Refuse may be nil. It is called before each request, with its path. If it returns an error,
	// the request gets this error.
	Refuse func(path string) error
	// Access tells who sends a request. If it is nil, there is no access control: everybody who can
	// reach the server can do everything, so it should listen only on loopback.
	Access Access
	// Withhold takes personal data out of the responses to callers who must not see it; nil: it has
	// a secret of its own.
	Withhold *personal.Withholder
	// Guests returns who sends a request without a key; nil: such requests are refused.
	Guests func() access.Principal
	// Limits are how many requests each second are served, if Access is set.
	Limits Limits
	// Allowances count towards the limits; nil: new ones, with Limits.
	Allowances *Allowances
	// Now is the clock of the limits; nil: the time of day.
	Now func() time.Time
	// Refusals counts the requests that were refused because of who sent them. It may be nil, if
	// nobody reads the counts.
	Refusals *Refusals
	// Slow is how long a request may take before it is logged as a warning; 0 stands for 1 s.
	// Faster requests are logged only at the debug level.
	Slow time.Duration
	// Observer is told of each request. It may be nil.
	Observer Observer
}

// Part registers routes, for example by commandapi.Register or readapi.Register.
type Part func(api huma.API)

// Document is the OpenAPI document of all parts, in JSON, as GET /openapi.json has it.
func Document(version string, parts ...Part) ([]byte, error) {
	handler, err := New(Options{Version: version}, parts...)
	if err != nil {
		return nil, err
	}
	document := handler.(*front).document //nolint:forcetypeassert // New makes no other
	apidoc.Complete(document)
	return json.Marshal(document)
}

// Route is a way into the API: a method and the template of a path, such as GET and
// /v1/carts/{cart_id}.
type Route struct{ Method, Path string }

// Routes are all routes of the router with all parts, in the order in which they were registered.
// A few of them, such as the page of the document, are not operations of the document.
func Routes(parts ...Part) (routes []Route, err error) {
	handler, err := New(Options{}, parts...)
	if err != nil {
		return nil, err
	}
	walked := handler.(*front).router.Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error { //nolint:forcetypeassert // New makes no other
		path, err := route.GetPathTemplate()
		if err != nil {
			return err
		}
		methods, err := route.GetMethods()
		for _, method := range methods {
			routes = append(routes, Route{method, path})
		}
		return err
	})
	return routes, walked
}

// New returns the handler of all parts. Their operations are in one document.
func New(options Options, parts ...Part) (http.Handler, error) {
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	if options.Refusals == nil {
		options.Refusals = NewRefusals()
	}
	if options.Allowances == nil {
		options.Allowances = NewAllowances(options.Limits, options.Now)
	}
	if options.Slow == 0 {
		options.Slow = time.Second
	}
	served, err := newHosts(options.PublicHosts)
	if err != nil {
		return nil, err
	}
	behind, err := newProxies(options.Proxies, options.ProxyHeader)
	if err != nil {
		return nil, err
	}
	problem.Install()
	// The router matches the encoded path, so that a SKU may contain a slash. It does not clean the
	// path, because the redirect would turn a write into a read.
	router := mux.NewRouter().UseEncodedPath().SkipClean(true)
	router.Use(noteRoute, unescapeVars)
	router.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		problem.Write(w, r, problem.NotFound("There is nothing at this address."))
	})
	router.MethodNotAllowedHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		problem.Write(w, r, problem.MethodNotAllowed(r.Method, allowedMethods(router, r)))
	})
	settings := config(options.Version)
	if options.Withhold == nil {
		options.Withhold = personal.NewWithholder(nil)
	}
	settings.Transformers = append(settings.Transformers, withholding(options.Withhold))
	api := humamux.New(router, settings)
	bodies := newBodies(api, options.BodyBudget, options.BodyWait)
	api.UseMiddleware(authorise, checkParameters(api.OpenAPI().Components.Schemas), tagResponses, bodies.middleware)
	for _, register := range parts {
		register(api)
	}
	serveDocs(router, api)
	checkRoutes(router, api.OpenAPI())
	if err := bodies.learn(api.OpenAPI()); err != nil {
		return nil, err
	}
	shared, err := newSharing(options.CORSOrigins, api.OpenAPI())
	if err != nil {
		return nil, err
	}
	compressed, err := compressing(newIndex(router))
	if err != nil {
		return nil, err
	}
	protection := http.NewCrossOriginProtection()
	if shared != nil {
		for _, origin := range shared.origins {
			if err := protection.AddTrustedOrigin(origin); err != nil {
				return nil, err
			}
		}
	}
	return &front{
		next: compressed, logger: options.Logger, slow: options.Slow, origin: protection, hosts: served,
		shared: shared, proxies: behind, refuse: options.Refuse, access: options.Access, open: openPaths(api.OpenAPI()), observer: options.Observer,
		allowances: options.Allowances, refusals: options.Refusals, guests: options.Guests, document: api.OpenAPI(), router: router,
	}, nil
}

// NewServer returns an http.Server with the time limits of the API. A response that streams sets
// its own deadlines while it streams.
func NewServer(handler http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       20 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeaderBytes,
		// Without this, net/http itself would respond to "OPTIONS *" for any host.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
}

func config(version string) huma.Config {
	c := huma.DefaultConfig("Daybook", version)
	c.CreateHooks = nil // otherwise huma adds a member $schema to every body
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", ""
	c.Components.Schemas = apidoc.NewRegistry()
	apidoc.Describe(c.OpenAPI)
	c.Formats = map[string]huma.Format{"application/json": strictJSON, "json": strictJSON}
	c.OnAddOperation = append(c.OnAddOperation, requirePermission, limitBody, describeTags, refuseLast)
	return c
}

// maxBuffer is the largest capacity of a buffer that is used again. A larger one, which few
// responses need, is freed.
const maxBuffer = 64 << 10

// buffers are for encoding responses.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// strictJSON refuses unknown members, members that are given twice, names in another case, and
// invalid UTF-8.
var strictJSON = huma.Format{
	// The body is written in one piece. A response that is held back would otherwise be copied each
	// time when it grows.
	Marshal: func(w io.Writer, v any) error {
		buffer, _ := buffers.Get().(*bytes.Buffer)
		defer func() {
			if buffer.Cap() <= maxBuffer {
				buffer.Reset()
				buffers.Put(buffer)
			}
		}()
		if err := json.MarshalWrite(buffer, v); err != nil {
			return err
		}
		_ = buffer.WriteByte('\n') // it never fails
		_, err := w.Write(buffer.Bytes())
		return err
	},
	Unmarshal: func(data []byte, v any) error {
		err := json.Unmarshal(data, v, json.RejectUnknownMembers(true))
		if wrong, ok := errors.AsType[*json.SemanticError](err); ok {
			// The error's own text is not used, because it names Go types. The schema was checked
			// before, so this happens only for what a schema cannot say.
			return &problem.Misfit{Pointer: string(wrong.JSONPointer), Time: wrong.GoType == reflect.TypeFor[time.Time]()}
		}
		return err
	},
}

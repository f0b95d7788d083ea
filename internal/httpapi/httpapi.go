// Package httpapi is the front of the house: one router, one OpenAPI document
// and one documentation page for the command API and the read API, and what
// every request gets (an id, a line in the log, limits, a problem document
// where something is wrong).
//
// What the routes do is not its business: commandapi and readapi register
// theirs. Nor is who may call them: bind it to loopback until there is access
// control.
package httpapi

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"
	"github.com/go-json-experiment/json"
	"github.com/gorilla/mux"

	"daybook/internal/apidoc"
	"daybook/internal/problem"
)

// Options describe the API.
type Options struct {
	Version string // of the program, shown in the document
	Logger  *slog.Logger
	// PublicHosts are names under which the server answers beside loopback addresses
	// and "localhost", such as that of a proxy before it; see ParsePublicHost.
	// Requests for other hosts are refused (421).
	PublicHosts []string
	// CORSOrigins are the origins of other sites whose pages may use the API from a
	// browser, such as https://shop.example; see ParseOrigin. By default there are none.
	CORSOrigins []string
	// BodyBudget bounds the bytes of bodies that are held at once, of all requests;
	// 0 is DefaultBodyBudget. A request beyond it waits for BodyWait (0: 2 s), and is
	// then refused with 503.
	BodyBudget int64
	BodyWait   time.Duration
	// Refuse, where set, is called before each request, with its path. If it returns an
	// error, that is the answer.
	Refuse func(path string) error
	// Slow is how long a request may take before the log says so; 0 is 1 s.
	// Others are logged at the debug level only.
	Slow time.Duration
}

// Part registers routes: commandapi's or readapi's Register, with what they need.
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

// New is the handler of everything: of all parts, whose operations make one
// document.
func New(options Options, parts ...Part) (http.Handler, error) {
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	if options.Slow == 0 {
		options.Slow = time.Second
	}
	served, err := newHosts(options.PublicHosts)
	if err != nil {
		return nil, err
	}
	problem.Install()
	// The encoded path is matched, so that a SKU may hold a slash; it is not
	// cleaned, for a redirect would turn a write into a read.
	router := mux.NewRouter().UseEncodedPath().SkipClean(true)
	router.Use(unescapeVars)
	router.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		problem.Write(w, r, problem.NotFound("There is nothing at this address."))
	})
	router.MethodNotAllowedHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		problem.Write(w, r, problem.MethodNotAllowed(r.Method, allowedMethods(router, r)))
	})
	api := humamux.New(router, config(options.Version))
	bodies := newBodies(options.BodyBudget, options.BodyWait)
	api.UseMiddleware(checkParameters, tagAnswers, bodies.middleware)
	for _, register := range parts {
		register(api)
	}
	if err := bodies.learn(api.OpenAPI()); err != nil {
		return nil, err
	}
	if err := serveDocs(router, api.OpenAPI()); err != nil {
		return nil, err
	}
	shared, err := newSharing(options.CORSOrigins, api.OpenAPI())
	if err != nil {
		return nil, err
	}
	compressed, err := compressing(router)
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
		shared: shared, refuse: options.Refuse, document: api.OpenAPI(),
	}, nil
}

// NewServer is an http.Server with the time limits of the API. An answer that
// streams sets its own deadlines as it goes.
func NewServer(handler http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       20 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeaderBytes,
		// Else net/http itself answers "OPTIONS *", whatever the host.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
}

func config(version string) huma.Config {
	c := huma.DefaultConfig("Daybook", version)
	c.CreateHooks = nil // else huma puts a $schema into every body
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", ""
	c.Components.Schemas = apidoc.NewRegistry()
	apidoc.Describe(c.OpenAPI)
	c.Formats = map[string]huma.Format{"application/json": strictJSON, "json": strictJSON}
	c.OnAddOperation = append(c.OnAddOperation, limitBody, describeTags)
	return c
}

// strictJSON refuses what a lax reader lets through: unknown and repeated
// members, other case, invalid UTF-8.
var strictJSON = huma.Format{
	Marshal: func(w io.Writer, v any) error {
		if err := json.MarshalWrite(w, v); err != nil {
			return err
		}
		_, err := io.WriteString(w, "\n")
		return err
	},
	Unmarshal: func(data []byte, v any) error {
		err := json.Unmarshal(data, v, json.RejectUnknownMembers(true))
		if wrong, ok := errors.AsType[*json.SemanticError](err); ok {
			// Its own text names Go types. What the schema says has been checked
			// before, so this is for what a schema cannot say.
			return &problem.Misfit{Pointer: string(wrong.JSONPointer), Time: wrong.GoType == reflect.TypeFor[time.Time]()}
		}
		return err
	},
}

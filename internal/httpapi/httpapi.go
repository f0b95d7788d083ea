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
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"
	"github.com/go-json-experiment/json"
	"github.com/gorilla/mux"

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
	api.UseMiddleware(bodies.middleware)
	for _, register := range parts {
		register(api)
	}
	if err := bodies.learn(api.OpenAPI()); err != nil {
		return nil, err
	}
	if err := serveDocs(router, api.OpenAPI()); err != nil {
		return nil, err
	}
	return &front{
		next: router, logger: options.Logger, slow: options.Slow, origin: http.NewCrossOriginProtection(), hosts: served,
		refuse: options.Refuse,
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
	c.Info.Description = description
	c.CreateHooks = nil // else huma puts a $schema into every body
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", ""
	c.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	c.Formats = map[string]huma.Format{"application/json": strictJSON, "json": strictJSON}
	c.RejectUnknownQueryParameters = true
	c.OnAddOperation = append(c.OnAddOperation, limitBody)
	return c
}

// ofView finds a view's type in a type's name: "…/orderview.Summary".
var ofView = regexp.MustCompile(`[\w/.-]*/(\w+)view\.(\w+)`)

// schemaName names types of the write side as they are and those of a view
// after it ("OrderSummary", "StockLevel"), for several have a Summary.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Name() == "" {
		return plainName(hint)
	}
	if t == reflect.TypeFor[problem.Document]() {
		return "Problem"
	}
	full := t.Name()
	if !strings.Contains(full, "[") {
		full = t.PkgPath() + "." + full
	}
	full = ofView.ReplaceAllStringFunc(full, func(found string) string {
		parts := ofView.FindStringSubmatch(found)
		view := strings.ToUpper(parts[1][:1]) + parts[1][1:]
		return view + strings.TrimPrefix(parts[2], view)
	})
	return plainName(full)
}

// plainName drops packages, and makes one word of a generic type's name.
func plainName(name string) string {
	var plain strings.Builder
	for part := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == '[' || r == ']' || r == ',' || r == '-' }) {
		part = part[strings.LastIndexAny(part, "./")+1:]
		plain.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return plain.String()
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
			return fmt.Errorf("at %q: a JSON %s does not fit here", string(wrong.JSONPointer), wrong.JSONKind)
		}
		return err
	},
}

const description = `Daybook is the order and inventory core of a shop. Every write appends to a log that is never altered; reads come from read models that follow it.

**Writing.** Each write answers with the aggregate as it then stands, its revision as ` + "`ETag`" + ` and the log's ` + "`Daybook-Position`" + `. A refused checkout that had begun answers with a position, too: from there on the cart is open again.
- ` + "`Idempotency-Key`" + `: the same key with the same request gets the first answer again, marked ` + "`Idempotency-Replayed: true`" + `; with another request it is refused (422). Needed where stock or money moves. Keys are good for 48 hours and are the caller's own (` + "`Daybook-Actor`" + `).
- ` + "`If-Match`" + `: the write happens only at that revision, otherwise 412.

**Reading.** Each answer says in ` + "`Daybook-Position`" + ` which position of the log it reflects. A read with ` + "`Daybook-Min-Position`" + `, such as the position a write returned, waits for it for 2 seconds, or as long as ` + "`Prefer: wait=n`" + ` says (10 at most).

**Errors** are RFC 9457 problems. The type of a refusal is ` + "`/problems/`" + ` and the rule's stable code; its facts are members of the document. ` + "`GET /problems`" + ` lists all codes.

**Money** is a decimal in a string and an ISO 4217 code. **SKUs** are folded to upper case; in a path they are percent-encoded (` + "`A%2FB`" + `).`

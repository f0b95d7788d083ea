// Package contracttest compares every response of a test with the OpenAPI document that the same
// server serves. The status must be listed, and the body and the headers must fit their schemas.
// Amounts must have the digits of their currency.
//
// Use it where all requests of a package's tests pass. It does not check requests, because tests
// send invalid ones on purpose.
package contracttest

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const problems = "application/problem+json"

// Server stands for all servers of a package's tests. They have the same routes and so the same
// document. The document is read only once, because it takes a server as long to write it as to
// serve many requests.
type Server struct {
	// Document returns the document for Client, because its servers are other processes or are not
	// open yet.
	Document func() ([]byte, error)

	once     sync.Once
	contract *Contract
	err      error
}

// Checked wraps a handler. Each response that does not fit the document is an error of the test.
// Responses that end after the test are not checked.
func (s *Server) Checked(t testing.TB, handler http.Handler) http.Handler {
	t.Helper()
	var over atomic.Bool
	t.Cleanup(func() { over.Store(true) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method, path := r.Method, r.URL.EscapedPath()
		answer := &tee{ResponseWriter: w, status: http.StatusOK}
		handler.ServeHTTP(answer, r)
		contract, err := s.Of(handler)
		if err == nil && method != http.MethodHead {
			err = contract.checkWritten(method, path, answer)
		}
		if err != nil && !over.Load() {
			t.Errorf("%s %s: the response %d is not as the document says: %v", method, path, answer.status, err)
		}
	})
}

// checkWritten compares a response that was written with the document. It may be compressed.
func (c *Contract) checkWritten(method, path string, answer *tee) error {
	body := answer.body.Bytes()
	if answer.Header().Get("Content-Encoding") == "gzip" {
		reader, err := gzip.NewReader(&answer.body)
		if err != nil {
			return err
		}
		if body, err = io.ReadAll(reader); err != nil {
			return err
		}
	}
	return c.Check(method, path, answer.status, answer.Header(), body)
}

// Of returns the contract of a server with this handler.
func (s *Server) Of(handler http.Handler) (*Contract, error) {
	return s.read(func() (*Contract, error) { return Of(handler) })
}

func (s *Server) read(document func() (*Contract, error)) (*Contract, error) {
	s.once.Do(func() { s.contract, s.err = document() })
	return s.contract, s.err
}

// Client returns a client that compares each response with Document. It does not check live
// streams, because they have no end.
func (s *Server) Client(t testing.TB) *http.Client {
	t.Helper()
	var over atomic.Bool
	t.Cleanup(func() { over.Store(true) })
	return &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil || r.Method == http.MethodHead || strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream") {
			return answer, err
		}
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		answer.Body = io.NopCloser(bytes.NewReader(body))
		if err != nil {
			answer.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), broken{err}))
			return answer, nil // the response was cut off, and its reader gets the error
		}
		contract, err := s.read(func() (*Contract, error) {
			text, err := s.Document()
			if err != nil {
				return nil, err
			}
			return parse(text)
		})
		if err == nil {
			err = contract.Check(r.Method, r.URL.EscapedPath(), answer.StatusCode, answer.Header, body)
		}
		if err != nil && !over.Load() {
			t.Errorf("%s %s: the response %d is not as the document says: %v", r.Method, r.URL, answer.StatusCode, err)
		}
		return answer, nil
	})}
}

type transport func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// broken returns the error at the end of a body that was cut off.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// tee keeps a copy of the response.
type tee struct {
	http.ResponseWriter

	status int
	body   bytes.Buffer
}

func (t *tee) WriteHeader(status int) {
	t.status = status
	t.ResponseWriter.WriteHeader(status)
}

func (t *tee) Write(data []byte) (int, error) {
	t.body.Write(data)
	return t.ResponseWriter.Write(data)
}

// Flush lets a response stream.
func (t *tee) Flush() {
	if flusher, ok := t.ResponseWriter.(http.Flusher); ok {
		flusher.Flush()
	}
}

// Unwrap lets http.ResponseController find the connection.
func (t *tee) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// Contract is a document with its compiled schemas.
type Contract struct {
	document map[string]any

	mu       sync.Mutex
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema // by their place in the document
}

// parsed keeps contracts by the text of their document, because most tests of a package have the
// same one.
var parsed = struct {
	sync.Mutex
	contracts map[[sha256.Size]byte]*Contract
}{contracts: make(map[[sha256.Size]byte]*Contract)}

// Of returns the contract of a handler.
func Of(handler http.Handler) (*Contract, error) {
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost/openapi.json", nil)) //nolint:noctx // nothing is waited for
	if w.Code != http.StatusOK {
		return nil, fmt.Errorf("the document is answered with %d %s", w.Code, w.Body)
	}
	return parse(w.Body.Bytes())
}

func parse(text []byte) (*Contract, error) {
	parsed.Lock()
	defer parsed.Unlock()
	key := sha256.Sum256(text)
	if earlier := parsed.contracts[key]; earlier != nil {
		return earlier, nil
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	document, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the document is no object")
	}
	closeObjects(document)
	visit(document, chooseByName)
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("openapi.json", document); err != nil {
		return nil, err
	}
	contract := &Contract{document: document, compiler: compiler, schemas: make(map[string]*jsonschema.Schema)}
	parsed.contracts[key] = contract
	return contract, nil
}

// closeObjects forbids members that a schema does not name. A client has to accept them, because
// responses may gain members (decision 46). A test has to find members that are not documented.
func closeObjects(document map[string]any) {
	const mark = "x-part" // of another schema, which names more members
	visit(document, func(object map[string]any) {
		all, _ := object["allOf"].([]any)
		for _, part := range all {
			part, _ := part.(map[string]any)
			if name, is := part["$ref"].(string); is {
				schemas, _ := document["components"].(map[string]any)["schemas"].(map[string]any)
				part, _ = schemas[strings.TrimPrefix(name, "#/components/schemas/")].(map[string]any)
			}
			part[mark] = true
		}
	})
	visit(document, func(object map[string]any) {
		_, said := object["additionalProperties"]
		_, named := object["properties"].(map[string]any)
		switch {
		case object["allOf"] != nil:
			object["unevaluatedProperties"] = false // of all parts together
		case object["type"] == "object" && named && !said && object[mark] == nil:
			object["additionalProperties"] = false
		}
	})
}

// chooseByName makes a union with a discriminator compare a value only with the schema that the
// value names. It means the same, and costs little: a oneOf compares it with all schemas, and there
// is one for each type of event.
func chooseByName(union map[string]any) {
	of, _ := union["oneOf"].([]any)
	discriminator, _ := union["discriminator"].(map[string]any)
	mapping, _ := discriminator["mapping"].(map[string]any)
	name, _ := discriminator["propertyName"].(string)
	if len(of) == 0 || len(mapping) == 0 {
		return
	}
	has := func(value map[string]any) map[string]any {
		return map[string]any{"properties": map[string]any{name: value}, "required": []any{name}}
	}
	names, chosen, choices := make([]any, 0, len(mapping)), map[string]bool{}, []any(nil)
	for value, ref := range mapping {
		ref, _ := ref.(string)
		names, chosen[ref] = append(names, value), true
		choices = append(choices, map[string]any{"if": has(map[string]any{"const": value}), "then": map[string]any{"$ref": ref}})
	}
	others := slices.DeleteFunc(slices.Clone(of), func(one any) bool {
		schema, _ := one.(map[string]any)
		ref, _ := schema["$ref"].(string)
		return chosen[ref]
	})
	rest := any(false) // no other name is allowed
	if len(others) > 0 {
		rest = map[string]any{"oneOf": others}
	}
	choices = append(choices, map[string]any{"if": has(map[string]any{"enum": names}), "else": rest})
	delete(union, "oneOf")
	union["allOf"] = choices
}

// visit calls do for each object of a document.
func visit(value any, do func(map[string]any)) {
	switch value := value.(type) {
	case map[string]any:
		do(value)
		for _, member := range value {
			visit(member, do)
		}
	case []any:
		for _, item := range value {
			visit(item, do)
		}
	}
}

// escaper writes a step of a path in the form of a JSON pointer in a URI fragment.
var escaper = strings.NewReplacer("~", "~0", "/", "~1", "%", "%25", "{", "%7B", "}", "%7D")

// schema compiles the schema at a path of the document. steps are the steps of the path.
func (c *Contract) schema(steps ...string) (*jsonschema.Schema, error) {
	place := "openapi.json#"
	for _, step := range steps {
		place += "/" + escaper.Replace(step)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if earlier := c.schemas[place]; earlier != nil {
		return earlier, nil
	}
	schema, err := c.compiler.Compile(place)
	if err == nil {
		c.schemas[place] = schema
	}
	return schema, err
}

// at returns the object at a path of the document, or nil.
func (c *Contract) at(steps ...string) map[string]any {
	value := c.document
	for _, step := range steps {
		value, _ = value[step].(map[string]any)
	}
	return value
}

// Check compares a response with the document. A response for an address that is not in the
// document may be anything, but a problem must fit the schema of problems.
func (c *Contract) Check(method, path string, status int, header http.Header, body []byte) error {
	kind, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil && len(body) > 0 {
		return fmt.Errorf("Content-Type: %w", err)
	}
	template := c.template(path)
	steps := []string{"paths", template, strings.ToLower(method)}
	if template == "" || c.at(steps...) == nil {
		if kind != problems {
			return nil
		}
		return c.fits(body, "components", "schemas", "Problem")
	}
	steps = append(steps, "responses", strconv.Itoa(status))
	answer := c.at(steps...)
	if answer == nil {
		return fmt.Errorf("the status is not listed: %.300s", body)
	}
	if ref, is := answer["$ref"].(string); is {
		steps = strings.Split(strings.TrimPrefix(ref, "#/"), "/")
		answer = c.at(steps...)
	}
	if err := c.headers(answer, header, steps); err != nil {
		return err
	}
	if kind == "application/json" {
		if err := CheckCaches(header, body); err != nil {
			return err
		}
	}
	content, _ := answer["content"].(map[string]any)
	if content == nil && len(body) == 0 {
		return nil // such as 304
	}
	if content[kind] == nil {
		return fmt.Errorf("its Content-Type %q is not listed", kind)
	}
	steps = append(steps, "content", kind, "schema")
	switch kind {
	case "application/x-ndjson":
		for line := range bytes.Lines(body) {
			if err := c.fits(line, steps...); err != nil {
				return err
			}
		}
		return nil
	case "text/event-stream":
		return c.messages(body, steps)
	case "text/html":
		return nil // a page to read
	}
	return c.fits(body, steps...)
}

// deepest names the faults that lie deepest in a value. If a value fits none of several schemas,
// they are those of the schema that it fits best.
func deepest(err error) string {
	var faults []*jsonschema.ValidationError
	var collect func(e *jsonschema.ValidationError)
	collect = func(e *jsonschema.ValidationError) {
		if len(e.Causes) == 0 {
			faults = append(faults, e)
		}
		for _, cause := range e.Causes {
			collect(cause)
		}
	}
	if invalid, is := errors.AsType[*jsonschema.ValidationError](err); is {
		collect(invalid)
	}
	slices.SortStableFunc(faults, func(a, b *jsonschema.ValidationError) int {
		return len(b.InstanceLocation) - len(a.InstanceLocation)
	})
	texts := make([]string, min(len(faults), 4))
	for i := range texts {
		texts[i] = faults[i].Error()
	}
	return strings.Join(texts, "; ")
}

// secrets are what clients must keep to themselves: keys, sessions, tokens, and what is needed to
// set up a second factor.
var secrets = regexp.MustCompile(`"(dbk|dbg|dbt|dbs|dbb)_[^"]*[0-9a-f]{64}"|"app_secret"|"dbw_[^"]{60,}"|"recovery_codes":`)

// CheckCaches returns an error if a response has a secret and caches may keep it.
func CheckCaches(header http.Header, body []byte) error {
	secret := secrets.Match(body) || header.Get("Set-Cookie") != "" || header.Get("Daybook-Guest-Token") != ""
	if secret && header.Get("Cache-Control") != "no-store" {
		return fmt.Errorf("it has a secret, and Cache-Control is %q", header.Get("Cache-Control"))
	}
	return nil
}

// headers compares the documented headers with their schemas. One that is required is there.
func (c *Contract) headers(answer map[string]any, header http.Header, steps []string) error {
	documented, _ := answer["headers"].(map[string]any)
	for name, about := range documented {
		text := header.Get(name)
		if text == "" {
			if about, _ := about.(map[string]any); about["required"] == true {
				return fmt.Errorf("the header %s is missing", name)
			}
			continue
		}
		schema, err := c.schema(append(steps[:len(steps):len(steps)], "headers", name, "schema")...)
		if err != nil {
			return err
		}
		value := any(text)
		types := ""
		if schema.Types != nil {
			types = schema.Types.String()
		}
		if number, err := strconv.ParseInt(text, 10, 64); err == nil && strings.Contains(types, "integer") {
			value = number
		}
		if text == "true" && strings.Contains(types, "boolean") {
			value = true // a header that is false is left out
		}
		if err := schema.Validate(value); err != nil {
			return fmt.Errorf("the header %s: %q: %w", name, text, err)
		}
	}
	return nil
}

// messages compares the complete messages of a live stream with their schema. It leaves out a
// message that is cut off at the end.
func (c *Contract) messages(body []byte, steps []string) error {
	texts := strings.Split(string(body), "\n\n")
	for _, text := range texts[:len(texts)-1] {
		message := make([]string, 0, 3)
		for line := range strings.SplitSeq(text, "\n") {
			switch name, value, _ := strings.Cut(line, ": "); name {
			case "id", "event":
				message = append(message, fmt.Sprintf("%q:%q", name, value))
			case "data":
				message = append(message, `"data":`+value)
			}
		}
		if len(message) == 0 {
			continue // a comment
		}
		if err := c.fits([]byte("{"+strings.Join(message, ",")+"}"), append(steps[:len(steps):len(steps)], "contentSchema")...); err != nil {
			return err
		}
	}
	return nil
}

// fits compares a JSON text with the schema at a path.
func (c *Contract) fits(text []byte, steps ...string) error {
	schema, err := c.schema(steps...)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("%.200s is no JSON: %w", text, err)
	}
	err = schema.Validate(value)
	if err == nil {
		return digits(value)
	}
	// The error of a union lists the faults for each part. So only the part that the text belongs
	// to is used.
	object, _ := value.(map[string]any)
	of := c.at("components", "schemas", "Problem", "discriminator", "mapping")
	if name, is := of[fmt.Sprint(object["type"])].(string); is {
		if one, compileErr := c.schema("components", "schemas", strings.TrimPrefix(name, "#/components/schemas/")); compileErr == nil {
			if exact := one.Validate(value); exact != nil {
				err = exact
			} else {
				err = fmt.Errorf("the operation does not list this problem")
			}
		}
	}
	return fmt.Errorf("%.600s: %s: %.800s", text, deepest(err), err.Error())
}

// template finds the path of the document that an address fits. If several fit, the one with the
// most literal parts is chosen. It is empty if none fits.
func (c *Contract) template(path string) string {
	best, literals := "", -1
	parts := strings.Split(path, "/")
	for template := range c.at("paths") {
		if n, is := matches(strings.Split(template, "/"), parts); is && n > literals {
			best, literals = template, n
		}
	}
	return best
}

func matches(template, parts []string) (literals int, is bool) {
	if len(template) != len(parts) {
		return 0, false
	}
	for i, part := range template {
		switch {
		case strings.HasPrefix(part, "{"):
			if parts[i] == "" {
				return 0, false
			}
		case part != parts[i]:
			return 0, false
		default:
			literals++
		}
	}
	return literals, true
}

package httpapi

import (
	"net/http"
	"strings"

	"github.com/gorilla/mux"

	"daybook/internal/problem"
)

// index finds the route of most requests. It compares the segments of a path, which are fixed or
// variable. The router would try the regular expressions of all routes, one after the other. If the
// index has no route for a request, it passes the request to the router. The router refuses it if
// no route fits.
type index struct {
	routes map[indexKey][]indexed // the routes of a key are in the order in which they were registered
	router http.Handler
}

// indexKey is what a route and all requests to it have in common.
type indexKey struct {
	method   string
	segments int
	second   string // such as "carts"; the first is the version
}

// indexed is a route in the index.
type indexed struct {
	segments []string // empty where a variable is
	names    []string // of the variables
	template string
	handler  http.Handler
}

// newIndex makes the index of a router whose routes are all registered. It stops at the first route
// that is not plain (see segmentsOf). Otherwise the index could find a later route for a path that
// the router would give to the route that is not plain.
func newIndex(router *mux.Router) *index {
	x := &index{routes: make(map[indexKey][]indexed), router: router}
	ended := false
	_ = router.Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		template, pathErr := route.GetPathTemplate()
		methods, methodsErr := route.GetMethods()
		segments, names, plain := segmentsOf(template)
		if ended = ended || pathErr != nil || methodsErr != nil || !plain; ended {
			return nil
		}
		for _, method := range methods {
			key := indexKey{method: method, segments: len(segments), second: second(segments)}
			x.routes[key] = append(x.routes[key], indexed{segments: segments, names: names, template: template, handler: unescapeVars(route.GetHandler())})
		}
		return nil
	})
	return x
}

// segmentsOf splits the template of a path. It is plain if each variable is a whole segment without
// a pattern, and neither of the first two.
func segmentsOf(template string) (segments, names []string, plain bool) {
	rest, rooted := strings.CutPrefix(template, "/")
	segments = strings.Split(rest, "/")
	for i, segment := range segments {
		name, opened := strings.CutPrefix(segment, "{")
		name, closed := strings.CutSuffix(name, "}")
		if opened != closed || strings.ContainsAny(name, "{}:") || opened && i < 2 {
			return nil, nil, false
		}
		if opened {
			segments[i], names = "", append(names, name)
		}
	}
	return segments, names, rooted
}

func second(segments []string) string {
	if len(segments) < 2 {
		return ""
	}
	return segments[1]
}

func (x *index) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	route, vars := x.find(r.Method, r.URL.EscapedPath())
	if route == nil {
		x.router.ServeHTTP(w, r)
		return
	}
	problem.RequestOf(r.Context()).Route = route.template
	if vars != nil {
		r = mux.SetURLVars(r, vars)
	}
	route.handler.ServeHTTP(w, r)
}

// find returns the route of a path, and the variables in the path. Both the path and the variables
// are percent-encoded. The route is nil if the index has none for the path.
func (x *index) find(method, path string) (found *indexed, vars map[string]string) {
	rest, rooted := strings.CutPrefix(path, "/")
	if !rooted {
		return nil, nil
	}
	var room [8]string
	segments := room[:0]
	for segment := range strings.SplitSeq(rest, "/") {
		if segments = append(segments, segment); len(segments) > len(room) {
			return nil, nil
		}
	}
	routes := x.routes[indexKey{method: method, segments: len(segments), second: second(segments)}]
	for i := range routes {
		if route := &routes[i]; route.matches(segments) {
			return route, route.vars(segments)
		}
	}
	return nil, nil
}

func (route *indexed) matches(segments []string) bool {
	for i, wanted := range route.segments {
		if wanted == "" && segments[i] == "" || wanted != "" && wanted != segments[i] {
			return false
		}
	}
	return true
}

func (route *indexed) vars(segments []string) map[string]string {
	if len(route.names) == 0 {
		return nil
	}
	vars := make(map[string]string, len(route.names))
	for i, wanted := range route.segments {
		if wanted == "" {
			vars[route.names[len(vars)]] = segments[i]
		}
	}
	return vars
}

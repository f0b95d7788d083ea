package httpapi

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gorilla/mux"
)

// paths are paths that are like the template of a route.
func paths(template string) []string {
	plain := strings.NewReplacer("{", "", "}", "").Replace(template)
	all := []string{
		template, plain, plain + "/", plain + "//", "/" + plain, plain + "/x", strings.ToUpper(plain), strings.TrimPrefix(plain, "/"), plain + "%2F", plain + "%", plain + "\n",
		strings.Replace(plain, "/v1/", "/v2/", 1), strings.Replace(plain, "/v1/", "/%76%31/", 1), strings.Replace(plain, "/v1/", "//", 1), strings.TrimSuffix(plain, "s"), "", "/", "*",
		plain + strings.Repeat("/x", 9),
	}
	for _, value := range []string{"", ".", "..", "a%2Fb", "%00", "%zz", "a b", "é", "%C3%A9", "lines", "history", "{sku}", "a;b", "a:b", "a+b", "a\nb"} {
		one, many := template, template
		if before, rest, found := strings.Cut(template, "{"); found {
			_, after, _ := strings.Cut(rest, "}")
			one = strings.NewReplacer("{", "", "}", "").Replace(before + value + after)
		}
		for strings.Contains(many, "{") {
			before, rest, _ := strings.Cut(many, "{")
			_, after, _ := strings.Cut(rest, "}")
			many = before + strings.NewReplacer("{", "(", "}", ")").Replace(value) + after
		}
		all = append(all, one, many)
	}
	return all
}

// The index finds the route that the router finds, or leaves the request to the router.
func TestTheIndexFindsTheRoutesOfTheRouter(t *testing.T) {
	t.Parallel()
	router := mux.NewRouter().UseEncodedPath().SkipClean(true)
	templates := []string{"/v1/things/all", "/v1/things/{id}/{part}", "/v1/things/{id}/all", "/v1/{any}", "/v1/late"}
	for path := range writing(t).document.Paths {
		if path == "/problems/{code}" {
			continue // it is not plain, and New registers it after all others
		}
		templates = append([]string{path}, templates...)
	}
	asked := ""
	for _, template := range templates {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			router.Path(template).Methods(method).HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = method + " " + template })
		}
	}
	x := newIndex(router)
	found, left := 0, 0
	for _, template := range templates {
		for _, path := range paths(template) {
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodOptions, ""} {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
				r.Method = method
				setPath(r, path)
				route, vars := x.find(r.Method, r.URL.EscapedPath())
				var match mux.RouteMatch
				if matched := router.Match(r, &match); route == nil {
					left++
					if plain := matched && match.MatchErr == nil; plain && match.Vars["any"] == "" {
						t.Errorf("%s %q is left to the router, which finds it with %v", method, path, match.Vars)
					}
					continue
				}
				found++
				asked = ""
				route.handler.ServeHTTP(httptest.NewRecorder(), r)
				got := asked
				asked = ""
				if match.Handler != nil {
					match.Handler.ServeHTTP(httptest.NewRecorder(), r)
				}
				if got != asked || !maps.Equal(vars, match.Vars) {
					t.Errorf("%s %q: the index finds %s with %v, the router %s with %v", method, path, got, vars, asked, match.Vars)
				}
			}
		}
	}
	if found < 200 || left < 1000 {
		t.Errorf("%d paths are found and %d are left to the router, so the paths are not diverse", found, left)
	}
}

// setPath gives a request a path, which may be one that net/http would refuse.
func setPath(r *http.Request, path string) {
	decoded, err := url.PathUnescape(path)
	if err != nil {
		decoded = path
	}
	r.URL = &url.URL{Path: decoded, RawPath: path}
}

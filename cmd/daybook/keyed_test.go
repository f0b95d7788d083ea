package main

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"daybook/cmd/daybook/shoppers"
)

// The servers of tests need API keys, as those of shops do. A test need not know of them: the
// clients of all tests send the admin's key of the server that they call.

// adminKeys are the admins' keys, by the host and port of a server.
var adminKeys sync.Map

// nobodysKey belongs to no server. It is sent to a server whose key is not known yet, because the
// server is still starting.
var nobodysKey = "dbk_nobody_" + strings.Repeat("0", 64)

// keyOf is the admin's key of a server.
func keyOf(address string) string {
	if parsed, err := url.Parse(address); err == nil {
		if key, known := adminKeys.Load(parsed.Host); known {
			return key.(string) //nolint:forcetypeassert // only texts are stored
		}
	}
	return nobodysKey
}

// withKeys adds the admin's key to each request that has no member Authorization.
type withKeys struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (w withKeys) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, given := r.Header["Authorization"]; !given {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+keyOf(r.URL.String()))
	}
	return w.next.RoundTrip(r)
}

// newShopper is a client of the shop with the admin's key.
func newShopper(address string, connections int) *shoppers.Client {
	return shoppers.NewClient(address, keyOf(address), connections)
}

// logKeys are admins' keys of logs, by the arguments that name the log.
var logKeys sync.Map

// learnKey finds out the admin's key of a server. The first start in a data directory writes it to
// a file. Over another database, a key is made on the command line, once for each log.
func learnKey(t *testing.T, address string, args []string) {
	t.Helper()
	host, plain := strings.CutPrefix(address, "http://")
	if slices.Contains(args, accessOff) || !plain {
		return // a test of TLS has clients of its own
	}
	if at := slices.Index(args, "--data"); at >= 0 {
		text, err := os.ReadFile(filepath.Join(args[at+1], adminKeyFile))
		if err != nil {
			t.Fatal(err)
		}
		adminKeys.Store(host, strings.TrimSpace(string(text)))
		return
	}
	log := namesOfLog(args)
	name := strings.Join(log, " ")
	if key, known := logKeys.Load(name); known {
		adminKeys.Store(host, key)
		if statusWithKey(t, address) != http.StatusUnauthorized {
			return
		}
	}
	made, err := createKey(context.WithoutCancel(t.Context()), append([]string{"--role", "admin", "--name", tests}, log...)...)
	if err != nil {
		t.Fatal(err)
	}
	adminKeys.Store(host, made)
	logKeys.Store(name, made)
	eventually(t, noticeMax, "the server knows the key", func() bool { return statusWithKey(t, address) != http.StatusUnauthorized })
}

// withAdmin adds the admin's key to the connection string of a server's gateway.
func withAdmin(t *testing.T, connection, address string) string {
	t.Helper()
	id, secret, found := strings.Cut(strings.TrimPrefix(keyOf(address), "dbk_"), "_")
	u, err := url.Parse(connection)
	if err != nil || !found {
		t.Fatalf("%s: %v", connection, err)
	}
	if u.Host != "" && u.Query().Get("tls") == "true" && id != "nobody" {
		u.User = url.UserPassword(id, secret)
	}
	return u.String()
}

// namesOfLog are the arguments of a server that say where its log is.
func namesOfLog(args []string) (log []string) {
	for i, arg := range args {
		if slices.Contains([]string{"--database-url", "--database-url-file", "--store", "--kurrentdb-url", "--kurrentdb-url-file"}, arg) {
			log = append(log, arg, args[i+1])
		}
	}
	return log
}

// statusWithKey asks a server with the admin's key.
func statusWithKey(t *testing.T, address string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+"/v1/roles", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

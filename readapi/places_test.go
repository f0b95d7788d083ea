package readapi_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/httpapi"
	"daybook/internal/live"
	"daybook/readapi"
)

// fromHeader lets a test come from any address.
const fromHeader = "X-Test-From"

// serveLog serves a log. The caller may use any address as its own.
func serveLog(t *testing.T, config readapi.Config) (address string) {
	t.Helper()
	stop := make(chan struct{})
	config.Stop = stop
	handler, err := httpapi.New(httpapi.Options{}, func(api huma.API) { readapi.Register(api, config) })
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if from := r.Header.Get(fromHeader); from != "" {
			r.RemoteAddr = net.JoinHostPort(from, "1")
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { close(stop); server.Close() })
	return server.URL
}

// ask sends a GET, which lasts until end is called.
func ask(t *testing.T, address, from string, headers ...string) (answer *http.Response, end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(fromHeader, from)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err = http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return answer, func() { cancel(); answer.Body.Close() }
}

func text(t *testing.T, answer *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Error(err)
	}
	return string(body)
}

func TestOneClientCannotTakeEveryLiveStream(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		total, perClient int // as they are set
		want, wantTotal  int
	}{
		"a quarter each": {20, 0, 5, 20},
		"few each":       {10, 2, 2, 10},
		"all for one":    {6, -1, 6, 6},
		"by default":     {0, 0, 125, 0}, // the total is not tried
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := serveLog(t, readapi.Config{
				Log: live.Log{Store: memory.New()}, LiveStreams: test.total, LivePerClient: test.perClient,
			}) + "/v1/events/live"
			clients := []string{"10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8:0:1::1", "10.0.0.5", "10.0.0.6"}
			var ends []func()
			open := func(from string) int {
				t.Helper()
				answer, end := ask(t, address, from)
				if answer.StatusCode == http.StatusOK {
					ends = append(ends, end)
				} else {
					end()
				}
				return answer.StatusCode
			}
			for range test.want {
				if status := open(clients[0]); status != http.StatusOK {
					t.Fatalf("a stream within the bound: answer %d", status)
				}
			}
			if test.want < test.wantTotal || test.wantTotal == 0 {
				answer, end := ask(t, address, clients[0])
				if answer.StatusCode != http.StatusTooManyRequests || answer.Header.Get("Retry-After") == "" {
					t.Errorf("one more: answer %d, want 429 with Retry-After", answer.StatusCode)
				} else if body := text(t, answer); !strings.Contains(body, "too-many-at-once") {
					t.Errorf("one more: the problem is %s", body)
				}
				end()
				if status := open(clients[1]); status != http.StatusOK {
					t.Errorf("another client: answer %d, want a stream", status)
				}
			}
			if test.wantTotal > 0 {
				for len(ends) < test.wantTotal {
					before := len(ends)
					for _, from := range clients {
						if len(ends) < test.wantTotal {
							open(from)
						}
					}
					if len(ends) == before {
						t.Fatalf("%d streams are open and no client gets another one, want %d", before, test.wantTotal)
					}
				}
				if status := open("10.9.9.9"); status != http.StatusServiceUnavailable && test.perClient >= 0 {
					t.Errorf("a new client where all are taken: answer %d, want 503", status)
				}
			}
			for _, end := range ends {
				end()
			}
			// The places are free again when the server has noticed that the readers have gone.
			for deadline := time.Now().Add(20 * time.Second); ; {
				status := open(clients[0])
				if status == http.StatusOK {
					ends[len(ends)-1]()
					return
				}
				if time.Now().After(deadline) {
					t.Fatalf("after all have ended: answer %d", status)
				}
				runtime.Gosched()
			}
		})
	}
}

// A network of 64 bits counts as one client, because a client may use all its addresses.
func TestAClientHasAllAddressesOfItsNetwork(t *testing.T) {
	t.Parallel()
	address := serveLog(t, readapi.Config{Log: live.Log{Store: memory.New()}, LivePerClient: 1}) + "/v1/events/live"
	for _, test := range []struct {
		from   string
		status int
	}{{"2001:db8::1", 200}, {"2001:db8::2", 429}, {"2001:db8:0:1::1", 200}, {"::ffff:10.0.0.1", 200}, {"10.0.0.1", 429}} {
		answer, end := ask(t, address, test.from)
		defer end()
		if answer.StatusCode != test.status {
			t.Errorf("from %s: answer %d, want %d", test.from, answer.StatusCode, test.status)
		}
	}
}

// A refused stream takes no place, for example a stream from an invalid position.
func TestARefusedLiveStreamTakesNoPlace(t *testing.T) {
	t.Parallel()
	address := serveLog(t, readapi.Config{Log: live.Log{Store: memory.New()}, LiveStreams: 1}) + "/v1/events/live"
	for range 5 {
		answer, end := ask(t, address+"?after=nowhere", "10.0.0.1")
		end()
		if answer.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("answer %d, want 422", answer.StatusCode)
		}
	}
	answer, end := ask(t, address, "10.0.0.1")
	defer end()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("answer %d, want a stream", answer.StatusCode)
	}
}

// never is a read model that does not make any progress.
type never struct{ readapi.Progress }

func (never) Wait(ctx context.Context, position string, _ ...string) error {
	<-ctx.Done()
	return &readapi.BehindError{Want: position, Reached: "0"}
}

// Reads that wait for a position wait 10 s at most, and one client has a quarter of
// their places.
func TestReadsThatWaitAreBounded(t *testing.T) {
	t.Parallel()
	address := serveLog(t, readapi.Config{Progress: never{}}) + "/v1/orders"
	const perClient = 500
	statuses := make(chan int, perClient+1)
	client := &http.Client{Transport: &http.Transport{}}
	for range perClient + 1 { // one of the waiting reads is refused at once
		go func() {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
			if err != nil {
				statuses <- 0
				return
			}
			r.Header.Set("Daybook-Min-Position", "9")
			r.Header.Set("Prefer", "wait=1000000")
			r.Header.Set(fromHeader, "10.0.0.1")
			answer, err := client.Do(r)
			if err != nil {
				statuses <- 0
				return
			}
			answer.Body.Close()
			statuses <- answer.StatusCode
		}()
	}
	if status := <-statuses; status != http.StatusTooManyRequests {
		t.Errorf("the first answer is %d, want 429 for the request that is one too many", status)
	}
	answer, end := ask(t, address, "10.0.0.2", "Daybook-Min-Position", "9", "Prefer", "wait=0")
	defer end()
	if body := text(t, answer); answer.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "position-not-reached") {
		t.Errorf("another client: answer %d %s, want it to have waited", answer.StatusCode, body)
	}
	for range perClient {
		if status := <-statuses; status != http.StatusServiceUnavailable {
			t.Fatalf("a request that waited: answer %d, want 503", status)
		}
	}
}

// A client that does not read is cut off after a bounded time. Until then it uses little memory,
// because it has no queue of events.
func TestALiveReaderThatDoesNotReadIsCutOff(t *testing.T) {
	store := memory.New() // not parallel, because it measures the memory in use
	const events, size = 200, 256 << 10
	payload := []byte(`{"a":"` + strings.Repeat("a", size) + `"}`)
	for range events {
		event := eventstore.Event{ID: uuid.New(), Type: "t.v1", Data: payload}
		if _, err := store.Append(t.Context(), "foreign", eventstore.Any, []eventstore.Event{event}); err != nil {
			t.Fatal(err)
		}
	}
	address := serveLog(t, readapi.Config{Log: live.Log{Store: store}, LiveStreams: 20, LivePerClient: -1, LiveWrite: time.Second})
	before := inUse()
	var readers []net.Conn
	for range 20 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(address, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET /v1/events/live?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReaderSize(conn, 16).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
			t.Fatalf("answer %q, %v", line, err)
		}
		readers = append(readers, conn)
	}
	if spent := inUse() - before; spent > 20*8*size {
		t.Errorf("%d MiB are held for 20 readers, want at most %d", spent>>20, 20*8*size>>20)
	}
	// All places were taken. They are free again when the readers are cut off.
	for deadline := time.Now().Add(60 * time.Second); ; {
		answer, end := ask(t, address+"/v1/events/live", "10.0.0.1")
		end()
		if answer.StatusCode == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("answer %d: readers that do not read keep their places", answer.StatusCode)
		}
		runtime.Gosched()
	}
	runtime.KeepAlive(readers)
}

func inUse() int64 {
	runtime.GC()
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	return int64(now.HeapAlloc) //nolint:gosec // far from the limit
}

package commandapi_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"daybook/commands"
	"daybook/commands/commandapi"
	"daybook/internal/httpapi"
)

// process is the handler of one process of a test. When the test has ended, it becomes that of
// another process, because making all routes takes longer than most tests.
type process struct {
	next     http.Handler
	routes   commandapi.Routes
	requests atomic.Int64 // under way
}

func (p *process) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.requests.Add(1)
	defer p.requests.Add(-1)
	p.next.ServeHTTP(w, r)
}

var idle struct {
	sync.Mutex

	processes []*process
}

// serve starts a process. It ends with the test.
func serve(t *testing.T, service *commands.Service, kept commands.Answers) http.Handler {
	t.Helper()
	p, err := idleProcess()
	if err != nil {
		t.Fatal(err)
	}
	p.routes.Serve(service, commandapi.Options{Answers: kept})
	t.Cleanup(func() {
		if p.requests.Load() > 0 {
			return // a request outlives the test
		}
		p.routes.Release()
		idle.Lock()
		defer idle.Unlock()
		idle.processes = append(idle.processes, p)
	})
	return contract.Checked(t, p)
}

func idleProcess() (*process, error) {
	idle.Lock()
	if last := len(idle.processes) - 1; last >= 0 {
		defer idle.Unlock()
		p := idle.processes[last]
		idle.processes = idle.processes[:last]
		return p, nil
	}
	idle.Unlock()
	p := &process{}
	var err error
	p.next, err = httpapi.New(httpapi.Options{Version: "test", PublicHosts: []string{"example.com"}}, func(api huma.API) {
		p.routes = commandapi.RegisterRoutes(api)
	})
	return p, err
}

package commandapi

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"

	"daybook/internal/problem"
)

// recorded is a response that is held back.
type recorded struct{ *httptest.ResponseRecorder }

func (r recorded) Response() (status int, header http.Header, body []byte) {
	return r.Code, r.Header(), r.Body.Bytes()
}

// A request that waited for another one with its key is refused if its sender has lost its rights
// meanwhile. It does not get the kept answer either.
func TestARequestThatWaitedForItsKeyIsAuthorizedAgain(t *testing.T) {
	t.Parallel()
	lost := errors.New("the rights have ended")
	r := httptest.NewRequestWithContext(problem.NewContext(t.Context(), &problem.Request{Recheck: func() error { return lost }}), http.MethodPost, "/v1/carts", http.NoBody)
	k := &keys{answers: keepsNone{}, timeout: time.Minute, underWay: make(map[scopedKey]chan struct{})}
	handled := func(huma.Context) { t.Error("the request was handled") }
	if err := k.serve(humamux.NewContext(&huma.Operation{}, r, recorded{httptest.NewRecorder()}), scopedKey{"key:a", "k"}, "key:a", handled); !errors.Is(err, lost) {
		t.Errorf("error %v, want %v", err, lost)
	}
}

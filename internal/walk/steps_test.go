package walk

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"daybook/internal/problem"
)

// step is one step of a walk. It has everything that is needed to repeat it.
type step struct {
	Request *request      `json:"request,omitempty"`
	Pass    time.Duration `json:"pass,omitempty"`    // moves the clock
	Restart bool          `json:"restart,omitempty"` // kills the program, after the request
	Cut     bool          `json:"cut,omitempty"`     // the request is cut off after some appends
	After   int           `json:"after,omitempty"`
	Lose    bool          `json:"lose,omitempty"` // the response to the next append is lost
}

func (s step) String() string {
	var text string
	if s.Request != nil {
		text = s.Request.String()
	}
	if s.Cut {
		text += fmt.Sprintf(" (cut off after %d appends, the next lost: %t)", s.After, s.Lose)
	}
	if s.Pass > 0 {
		text += " " + s.Pass.String() + " pass"
	}
	if s.Restart {
		text += " (killed)"
	}
	return text
}

// answer is an HTTP response.
type answer struct {
	status   int
	header   http.Header
	text     string
	body     any
	appended bool // the request appended events
}

// kind is the media type.
func (a answer) kind() string {
	kind, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
	return kind
}

func (a answer) ok() bool { return a.status >= 200 && a.status < 300 }

func (w *shop) send(r request) answer {
	before := w.head()
	w.clock.move(37 * time.Millisecond)
	sent := httptest.NewRequestWithContext(w.Context(), r.Method, r.Target, strings.NewReader(r.Body))
	if r.Body == "" {
		sent.Body = http.NoBody
	}
	for name, value := range r.Headers {
		sent.Header.Set(name, value)
	}
	sent.Host = "127.0.0.1"
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, sent)
	a := answer{status: recorder.Code, header: recorder.Header(), text: recorder.Body.String()}
	if kind := a.kind(); kind == "application/json" || kind == problem.ContentType {
		if err := json.Unmarshal([]byte(a.text), &a.body); err != nil {
			a.body = err
		}
	}
	a.appended = w.head() != before
	return a
}

// take carries out a step. It returns what is wrong after it.
func (w *shop) take(s step) (a answer, err error) {
	if s.Request != nil {
		if s.Cut {
			w.store.cutAfter(s.After, s.Lose)
		}
		a = w.send(*s.Request)
		w.store.restore()
		if err := w.checkAnswer(*s.Request, a, s.Cut); err != nil {
			return a, err
		}
	}
	if s.Restart {
		w.stop()
		w.start()
	}
	if s.Pass > 0 {
		if err := w.advanceClock(s.Pass); err != nil {
			return a, err
		}
	}
	if err := w.followMoney(); err != nil {
		return a, err
	}
	return a, w.verifyLog()
}

// checkAnswer checks that the document describes a response.
func (w *shop) checkAnswer(r request, a answer, cut bool) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("answer %d: %s: %s", a.status, fmt.Sprintf(format, args...), a.text)
	}
	if a.status >= 500 && (!cut || a.status != http.StatusServiceUnavailable) {
		return bad("the program failed; it said: %s", w.warningsSoFar())
	}
	held := &contract
	if w.light {
		held = &lightContract
	}
	document, err := held.Of(w.handler)
	if err != nil {
		return err
	}
	path, _, _ := strings.Cut(r.Target, "?")
	if err := document.Check(r.Method, path, a.status, a.header, []byte(a.text)); err != nil {
		return bad("not as the document says: %v", err)
	}
	return nil
}

func (w *shop) described(id string) operation {
	for _, op := range operations(w.api.OpenAPI()) {
		if op.OperationID == id {
			return op
		}
	}
	panic("no operation " + id)
}

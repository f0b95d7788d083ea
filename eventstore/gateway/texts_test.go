package gateway_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/status"

	"daybook/eventstore"
	"daybook/eventstore/gateway"
	"daybook/eventstore/memory"
)

// internalNumber finds numbers that have a meaning only in code: negative numbers for states, and
// error codes of the database.
var internalNumber = regexp.MustCompile(`-\d|SQLSTATE|0x`)

// For each expectation and each state of a stream, the text of a refusal names states in words and
// has no internal numbers.
func TestRefusalsShowNoInternalNumbers(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		recorded := several(3, "t.v1")
		states := map[string]func(stream string){
			"missing":  func(string) {},
			"there":    func(stream string) { s.write(stream, recorded...) },
			"deleted":  func(stream string) { s.write(stream, recorded...); s.mustDelete(stream) },
			"ended":    func(stream string) { s.write(stream, recorded...); s.mustTombstone(stream) },
			"metadata": func(stream string) { s.setMetadata(stream, `{}`) },
		}
		calls := map[string]func(stream string, expected expectation) string{
			"append":         func(stream string, expected expectation) string { return s.told(s.appendTo(stream, expected, event())) },
			"append nothing": func(stream string, expected expectation) string { return s.told(s.appendTo(stream, expected)) },
			"append what is known": func(stream string, expected expectation) string {
				return s.told(s.appendTo(stream, expected, recorded[1], event()))
			},
			"batch":            func(stream string, expected expectation) string { return s.toldInBatch(t, stream, expected, event()) },
			"batch of nothing": func(stream string, expected expectation) string { return s.toldInBatch(t, stream, expected) },
			"batch of what is known": func(stream string, expected expectation) string {
				return s.toldInBatch(t, stream, expected, recorded[1], event())
			},
			"metadata": func(stream string, expected expectation) string {
				return s.toldInBatch(t, "$$"+stream, expected, document(`{}`))
			},
			"delete": func(stream string, expected expectation) string {
				_, _, err := s.delete(stream, expected)
				return status.Convert(err).Message()
			},
			"tombstone": func(stream string, expected expectation) string {
				_, _, err := s.tombstone(stream, expected)
				return status.Convert(err).Message()
			},
		}
		refused := 0
		for call, told := range calls {
			for state, make := range states {
				for what, expected := range map[string]expectation{
					"any": anyRevision, "no stream": noStream, "exists": streamExists, "1": exact(1), "7": exact(7),
					"the highest": exact(1<<63 - 1), "beyond": exact(1 << 63), "-1": exact(1<<64 - 1),
				} {
					stream := strings.NewReplacer(" ", "_", "-", "_").Replace(fmt.Sprint(call, state, what))
					make(stream)
					text := told(stream, expected)
					if text != "" {
						refused++
					}
					if internalNumber.MatchString(text) {
						t.Errorf("%s of a stream that is %s, expecting %s: %q", call, state, what, text)
					}
				}
			}
		}
		if refused < 100 {
			t.Errorf("only %d calls were refused with a text", refused)
		}
	})
}

// told is the text of the error of a refused append, if it has one.
func (s *served) told(_ *streams.AppendResp, _ map[string][]string, err error) string {
	return status.Convert(err).Message()
}

// toldInBatch is the text of the error in an answer of BatchAppend.
func (s *served) toldInBatch(t *testing.T, stream string, expected expectation, events ...eventstore.Event) string {
	t.Helper()
	b := s.batch(t)
	b.send(b.frame(stream, expected, true, events...))
	return b.next().GetError().GetMessage()
}

// The error of an append over the limit of bytes says the limit and what counts towards it. It says
// no size, because only a part of the append was counted, and in the form of the log.
func TestTheErrorOfALargeAppendSaysTheLimitAndWhatCounts(t *testing.T) {
	t.Parallel()
	s := serve(t, memory.New(), gateway.Options{})
	octets := proposal(event())
	octets.Metadata["content-type"] = "application/octet-stream"
	octets.Data = make([]byte, 900_000) // below the limit, but above it in an envelope
	object := proposal(event())
	object.Data = []byte(`{"x":"` + strings.Repeat("x", eventstore.MaxAppendBytes) + `"}`)
	for name, message := range map[string]*streams.AppendReq_ProposedMessage{"octets": octets, "an object": object} {
		_, _, err := s.propose("a", anyRevision, message)
		text := status.Convert(err).Message()
		numbers := regexp.MustCompile(`\d+`).FindAllString(text, -1)
		for _, number := range numbers {
			if number != strconv.Itoa(eventstore.MaxAppendBytes) && number != "4" && number != "3" {
				t.Errorf("%s: %q has the number %s", name, text, number)
			}
		}
		if len(numbers) == 0 || !strings.Contains(text, "counts 4/3") {
			t.Errorf("%s: %q does not say what counts", name, text)
		}
	}
}

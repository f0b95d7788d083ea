package gateway_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"daybook/eventstore"
	"daybook/eventstore/gateway"
)

// ways are the methods by which events can be appended. Each returns a short text for the answer.
var ways = map[string]func(s *served, t *testing.T, stream string, expected expectation, events ...eventstore.Event) string{
	"append": func(s *served, _ *testing.T, stream string, expected expectation, events ...eventstore.Event) string {
		resp, _, err := s.appendTo(stream, expected, events...)
		return outcome(resp, err)
	},
	"batch": func(s *served, t *testing.T, stream string, expected expectation, events ...eventstore.Event) string {
		b := s.batch(t)
		b.send(b.frame(stream, expected, true, events...))
		resp := b.next()
		if err := resp.GetError(); err != nil {
			wrong := &shared.WrongExpectedVersion{}
			if len(err.GetDetails()) == 1 && err.GetDetails()[0].UnmarshalTo(wrong) == nil {
				if wrong.GetCurrentNoStream() != nil {
					return "wrong, no stream"
				}
				return fmt.Sprintf("wrong, at %d", wrong.GetCurrentStreamRevision())
			}
			if len(err.GetDetails()) == 1 && err.GetDetails()[0].MessageIs(&shared.StreamDeleted{}) {
				return codes.FailedPrecondition.String() // the same text as for Append
			}
			return codes.Code(err.GetCode()).String()
		}
		return fmt.Sprintf("ok %d", resp.GetSuccess().GetCurrentRevision())
	},
}

// metadataOf is the document that a stream's metadata shows.
func (s *served) metadataOf(stream string) string {
	s.tb.Helper()
	messages := s.read(ofStream("$$" + stream)).messages
	return string(messages[0].GetEvent().GetEvent().GetData())
}

// Writing the metadata of a deleted stream does not show its old events again: not to readers,
// subscribers and groups, not by links, and not on another node.
func TestMetadataLeavesADeletedStreamDeleted(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s, other := serve(t, store, gateway.Options{}), serve(t, store, gateway.Options{})
		cases := map[string]struct {
			expected  expectation
			documents []string
			answer    string
			want      string
		}{
			"any":             {anyRevision, []string{`{"color":"red"}`}, "ok 1", `{"$tb":3,"color":"red"}`},
			"exists":          {streamExists, []string{`{"color":"red"}`}, "ok 1", `{"$tb":3,"color":"red"}`},
			"exact":           {exact(0), []string{`{"color":"red"}`}, "ok 1", `{"$tb":3,"color":"red"}`},
			"wrong":           {exact(1), []string{`{"color":"red"}`}, "wrong, at 0", `{"$tb":9223372036854775807}`},
			"no stream":       {noStream, []string{`{"color":"red"}`}, "wrong, at 0", `{"$tb":9223372036854775807}`},
			"several":         {anyRevision, []string{`{"$tb":7}`, `{"color":"red"}`}, "ok 2", `{"$tb":3,"color":"red"}`},
			"a lower $tb":     {anyRevision, []string{`{"$tb":1}`}, "ok 1", `{"$tb":3}`},
			"a higher $tb":    {anyRevision, []string{`{"$tb":4}`}, "ok 1", `{"$tb":4}`},
			"deleted again":   {anyRevision, []string{`{"$tb":9223372036854775807,"own":1}`}, "ok 1", `{"$tb":9223372036854775807,"own":1}`},
			"with limits":     {anyRevision, []string{`{"$maxCount":2,"$maxAge":60}`}, "ok 1", `{"$maxAge":60,"$maxCount":2,"$tb":3}`},
			"no valid number": {anyRevision, []string{`{"own":12345678901234567890}`}, "ok 1", `{"$tb":3,"own":12345678901234567890}`},
		}
		for way, write := range ways {
			for name, c := range cases {
				t.Run(way+", "+name, func(t *testing.T) {
					stream := strings.ReplaceAll(way+"-"+name, " ", "-")
					s.write(stream, several(3, "t.v1")...)
					s.mustDelete(stream)
					documents := make([]eventstore.Event, len(c.documents))
					for i, text := range c.documents {
						documents[i] = document(text)
					}
					for range 2 { // the second time the append is a repetition
						if got := write(s, t, "$$"+stream, c.expected, documents...); got != c.answer {
							t.Fatalf("the append says %s, want %s", got, c.answer)
						}
					}
					if got := s.metadataOf(stream); got != c.want {
						t.Errorf("metadata %s, want %s", got, c.want)
					}
					for _, node := range []*served{s, other} {
						until(t, func() bool { // the other node learns it a moment later
							a := node.read(ofStream(stream))
							return len(a.messages) == 0 || short(a.messages[0]) == "not found "+stream
						})
						for _, options := range []*streams.ReadReq_Options{ofStream(stream), backwards(fromEnd(ofStream(stream)))} {
							for _, message := range node.read(options).messages {
								if message.GetEvent() != nil {
									t.Errorf("%s is back", short(message))
								}
							}
						}
						node.subscribe(t, ofStream(stream)).wants("confirmation", "caught up")
					}
					link := eventstore.Event{ID: uuid.New(), Type: "$>"}
					var err error
					link.Data, link.Meta, err = eventstore.Wrap(eventstore.Content{Type: "text/plain", Data: []byte("1@" + stream)})
					if err != nil {
						t.Fatal(err)
					}
					s.write("links-"+stream, link)
					s.read(resolving(ofStream("links-"+stream))).wants(t, "broken link")
				})
			}
		}
	})
}

// A repeated document gets its first answer, even if its stream was deleted in between. It has no
// effect then.
func TestADocumentRepeatedAfterADelete(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		s.write("a", several(3, "t.v1")...)
		red := document(`{"color":"red"}`)
		for _, expected := range []expectation{noStream, anyRevision} {
			if revision := s.mustAppend("$$a", expected, red); revision != 0 {
				t.Errorf("revision %d, want 0", revision)
			}
			s.mustDelete("a")
		}
		if revision := s.mustAppend("$$a", noStream, red); revision != 0 {
			t.Errorf("revision %d, want 0", revision)
		}
		s.read(ofStream("a")).wants(t, "not found a")
		resp, _, err := s.appendTo("$$a", anyRevision, red, document(`{}`))
		if got := outcome(resp, err); got != "wrong, at 2" {
			t.Errorf("with another: %s", got)
		}
		s.read(ofStream("a")).wants(t, "not found a")
	})
}

// Many writers write documents at the same time on two nodes. A writer that expects no revision is
// never refused, and the $tb of a deleted stream is written once.
func TestManyDocumentsAtOnce(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		nodes := []*served{serve(t, store, gateway.Options{}), serve(t, store, gateway.Options{})}
		nodes[0].write("a", several(3, "t.v1")...)
		nodes[0].mustDelete("a")
		const writers, each = 8, 5
		var writing sync.WaitGroup
		for i := range writers {
			writing.Go(func() {
				for range each {
					resp, _, err := nodes[i%2].appendTo("$$a", anyRevision, document(`{"color":"red"}`))
					if !strings.HasPrefix(outcome(resp, err), "ok") {
						t.Errorf("a document: %s, %v", outcome(resp, err), err)
					}
				}
			})
		}
		writing.Wait()
		nodes[0].read(ofStream("$$a")).wants(t, fmt.Sprintf("$$a/%d", 1+writers*each))
	})
}

// interrupted is a log in which somebody else writes just before an append to $$a.
type interrupted struct {
	eventstore.Store
	before func()
}

func (i *interrupted) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	if before := i.before; before != nil && stream == "$$a" {
		i.before = nil
		before()
	}
	return i.Store.Append(ctx, stream, expected, events)
}

// A document is not written over a delete that its writer's node had not seen.
func TestADeleteJustBeforeADocument(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		expected expectation
		answer   string
	}{"any": {anyRevision, "ok 2"}, "exact": {exact(0), "wrong, at 1"}, "the next": {exact(1), "wrong, at 0"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			engines(t, func(t *testing.T, store eventstore.Store) {
				log := &interrupted{Store: store}
				s, other := serve(t, log, gateway.Options{}), serve(t, store, gateway.Options{})
				s.write("a", several(3, "t.v1")...)
				s.setMetadata("a", `{}`)
				log.before = func() { other.mustDelete("a") }
				resp, _, err := s.appendTo("$$a", c.expected, document(`{"color":"red"}`))
				if got := outcome(resp, err); got != c.answer {
					t.Errorf("the append says %s, want %s", got, c.answer)
				}
				if log.before != nil { // the append was refused before it was sent
					log.before()
				}
				for _, message := range other.read(ofStream("a")).messages {
					if message.GetEvent() != nil {
						t.Errorf("%s is back", short(message))
					}
				}
			})
		})
	}
}

// A document that could not be read back is refused when it is written, because its rights would
// hold for nobody.
func TestDocumentsThatCannotBeReadAreRefused(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		const rights = `"$acl":{"$r":"$admins"}`
		always := map[string]string{
			"byte order mark":        "\ufeff{" + rights + "}",
			"single quotes":          `{'$acl':{'$r':'$admins'}}`,
			"a name twice":           `{"$acl":{"$r":"$admins"},"$acl":{}}`,
			"a name twice within":    `{"$acl":{"$r":"$admins","$r":"$all"}}`,
			"a name twice in own":    `{"own":{"a":1,"a":2},` + rights + `}`,
			"text after it":          `{` + rights + `} x`,
			"another after it":       `{` + rights + `}{}`,
			"a comment":              `/* c */{` + rights + `}`,
			"a comma too many":       `{` + rights + `,}`,
			"broken":                 `{` + rights,
			"an array":               `[{` + rights + `}]`,
			"null":                   `null`,
			"a text":                 `"` + `{}` + `"`,
			"no JSON":                `hello`,
			"nothing":                ``,
			"bytes that are no text": "{\"own\":\"\xff\"," + rights + "}",
		}
		ofMetadata := map[string]string{
			"rights that are a number":   `{"$acl":5}`,
			"rights that are a list":     `{"$acl":["$admins"]}`,
			"rights like none":           `{"$acl":"$userStreamACL"}`,
			"a right that is a number":   `{"$acl":{"$r":7}}`,
			"a role that is a number":    `{"$acl":{"$r":["$admins",7]}}`,
			"a right that is none":       `{"$acl":{"$read":"$admins"}}`,
			"a count that is a text":     `{"$maxCount":"2",` + rights + `}`,
			"a count that is a fraction": `{"$maxCount":1.5}`,
			"a count beyond 64 bits":     `{"$maxCount":99999999999999999999}`,
			"an age that is true":        `{"$maxAge":true}`,
			"a $tb that is a text":       `{"$tb":"3"}`,
		}
		ofSettings := map[string]string{
			"a list that is a text":     `{"$userStreamAcl":"$systemStreamAcl"}`,
			"a list that is a number":   `{"$systemStreamAcl":5}`,
			"a right that is none":      `{"$userStreamAcl":{"$read":"$admins"}}`,
			"a right that is an object": `{"$systemStreamAcl":{"$r":{}}}`,
		}
		check := func(stream, name, text string) {
			for way, write := range ways {
				for _, events := range [][]eventstore.Event{{document(text)}, {document(text), document(`{}`)}, {document(`{}`), document(text)}} {
					if got := write(s, t, stream, anyRevision, events...); got != "InvalidArgument" {
						t.Errorf("%s, %s, %s: %s", way, stream, name, got)
					}
				}
			}
		}
		for name, text := range always {
			check("$$a", name, text)
			check("$settings", name, text)
			check("$$$all", name, text)
		}
		for name, text := range ofMetadata {
			check("$$a", name, text)
			check("$$$settings", name, text)
		}
		for name, text := range ofSettings {
			check("$settings", name, text)
		}
		for _, stream := range []string{"$$a", "$settings", "$$$all", "$$$settings"} {
			s.read(ofStream(stream)).wants(t, "not found "+stream)
		}
		for _, text := range []string{
			`{}`, " {\"$acl\":null,\"$maxCount\":null}\n", `{"$acl":{"$r":null,"$w":[],"$mw":["a","$all"]}}`, `{"$acl":"$userStreamAcl"}`,
			`{"$acl":"$systemStreamAcl","$cacheControl":5,"color":[1,{"a":2}],"$tb":0,"$maxCount":-1,"$maxAge":0}`,
		} {
			for way, write := range ways {
				if got := write(s, t, "$$a", anyRevision, document(text)); !strings.HasPrefix(got, "ok") {
					t.Errorf("%s of %s: %s", way, text, got)
				}
			}
		}
		s.mustAppend("$settings", anyRevision, document(`{"$userStreamAcl":{"$r":"$all","$w":["ops"]},"$systemStreamAcl":null,"own":1}`))
		s.mustAppend("other", anyRevision, document(`{"$acl":5}`)) // an ordinary stream may hold anything
	})
}

// Each member of metadata is written with each kind of value. Either it has the effect that it has
// on a real server, where a limit below one means no limit, or it is refused and the error names
// it. No value is stored that has no effect.
func TestEachValueOfMetadataHoldsOrIsRefused(t *testing.T) {
	t.Parallel()
	const events, highest = 5, "9223372036854775807"
	numbers := map[string]int64{ // by limit: how many events a $maxCount of this limit shows
		"3": 3, "1": 1, "5": events, "6": events, highest: events,
		"0": events, "-1": events, "-5": events, "-9223372036854775808": events, "null": events,
	}
	others := []string{
		"9223372036854775808", "-9223372036854775809", "99999999999999999999", "1.5", "2.0", "2e0", "1e400",
		`"2"`, `""`, `"x"`, "true", "false", "[]", "[2]", "{}", `{"a":2}`,
	}
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		stream := 0
		check := func(member, value string, holds bool, shown int64) {
			t.Helper()
			stream++
			name := fmt.Sprint("s", stream)
			s.write(name, several(events, "t.v1")...)
			_, _, err := s.appendTo("$$"+name, noStream, document(`{"own":1,"`+member+`":`+value+`}`))
			if !holds {
				text := status.Convert(err).Message()
				if status.Code(err) != codes.InvalidArgument || !strings.Contains(text, member) {
					t.Errorf("%s of %s: %v, want it refused by its name", member, value, err)
				}
				s.read(ofStream("$$"+name)).wants(t, "not found $$"+name)
				shown = events
			} else if err != nil {
				t.Errorf("%s of %s: %v", member, value, err)
			}
			var want []string
			for revision := events - shown; revision < events; revision++ {
				want = append(want, fmt.Sprintf("%s/%d", name, revision))
			}
			if member == "$tb" && value == highest {
				want = []string{"not found " + name} // the stream is deleted
			}
			s.read(ofStream(name)).wants(t, want...)
		}
		for number, left := range numbers {
			check("$maxCount", number, true, left)
			check("$cacheControl", number, true, events)
			cut, _ := strconv.ParseInt(number, 10, 64) // null gives 0
			check("$tb", number, true, events-min(max(cut, 0), events))
			if cut < 1 || number == highest { // with other ages the result depends on how fast the test is
				check("$maxAge", number, true, events)
			}
		}
		check("$maxAge", "1000", true, events)
		check("$maxAge", "99999999999", true, events)
		for _, member := range []string{"$maxCount", "$maxAge", "$tb", "$cacheControl"} {
			for _, value := range others {
				check(member, value, false, 0)
			}
		}
		for _, value := range append(others, "0", "-1", "1", "null") {
			isTruth := value == "true" || value == "false" || value == "null"
			check("$tmp", value, isTruth, events)
			check("$acl", value, value == "{}" || value == "null", events)
		}
	})
}

// The answer says which document is wrong, and what is wrong with it.
func TestARefusalNamesTheDocumentAndWhatIsWrong(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		_, trailers, err := s.appendTo("$$a", anyRevision, document(`{}`), document(`{"$acl":{"$read":"ann"}}`))
		checkRefused(t, err, trailers, refusal{code: codes.InvalidArgument})
		for _, part := range []string{"$$a", "event 1", "$acl", `"$read"`} {
			if !strings.Contains(fmt.Sprint(err), part) {
				t.Errorf("%v does not name %s", err, part)
			}
		}
	})
}

// Metadata ends with its stream: it is neither read nor written any more.
func TestMetadataOfAnEndedStream(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		s.write("a", several(2, "t.v1")...)
		s.setMetadata("a", `{"own":1}`)
		recorded := document(`{"own":2}`)
		s.mustAppend("$$a", anyRevision, recorded)
		s.mustTombstone("a")
		s.mustTombstone("never-written")
		for _, stream := range []string{"$$a", "$$never-written"} {
			gone := refusal{codes.FailedPrecondition, map[string]string{"exception": "stream-deleted", "stream-name": stream}}
			bounded := ofStream(stream)
			bounded.ControlOption = &streams.ReadReq_Options_ControlOption{Compatibility: 1}
			for name, options := range map[string]*streams.ReadReq_Options{
				"forwards": ofStream(stream), "backwards": backwards(fromEnd(ofStream(stream))), "from 1": fromRevision(stream, 1),
				"with bounds": bounded, "following": following(ofStream(stream)), "following from the end": following(fromEnd(ofStream(stream))),
			} {
				a := s.read(options)
				if len(a.messages) > 0 {
					t.Errorf("%s, %s: %q", stream, name, shorts(a.messages))
				}
				checkRefused(t, a.err, a.trailers, gone)
			}
			for way, write := range ways {
				for name, events := range map[string][]eventstore.Event{"new": {document(`{}`)}, "known": {recorded}, "nothing": {}} {
					if got := write(s, t, stream, anyRevision, events...); got != "FailedPrecondition" {
						t.Errorf("%s of %s to %s: %s", way, name, stream, got)
					}
				}
			}
			_, trailers, err := s.appendTo(stream, anyRevision, document(`{}`))
			checkRefused(t, err, trailers, gone)
		}
		s.write("b", several(1, "t.v1")...)
		s.setMetadata("b", `{}`)
		s.read(ofStream("$$b")).wants(t, "$$b/0")
	})
}

// If a stream knows ids of an append, the append is a conflict if the stream is not as expected, or
// if it does not have all of the ids. At the stream's end they are recorded again. EventStoreDB
// does the same.
func TestKnownIDsThatAreNoRepeat(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		cases := map[string]struct {
			expected expectation
			ids      []int // by number; 0 and 1 are recorded
			want     string
		}{
			"both at 7":                    {exact(7), []int{0, 1}, "wrong, at 1"},
			"both at 0":                    {exact(0), []int{0, 1}, "wrong, at 1"},
			"both and a new one, any":      {anyRevision, []int{0, 1, 2}, "wrong, at 1"},
			"both and a new one, exists":   {streamExists, []int{0, 1, 2}, "wrong, at 1"},
			"both and a new one, none":     {noStream, []int{0, 1, 2}, "wrong, at 1"},
			"the second, no stream":        {noStream, []int{1}, "wrong, at 1"},
			"another order, no stream":     {noStream, []int{1, 0}, "wrong, at 1"},
			"a new one first, no stream":   {noStream, []int{2, 1}, "wrong, at 1"},
			"a new one first, at 5":        {exact(5), []int{2, 1}, "wrong, at 1"},
			"again, no stream":             {noStream, []int{0, 1}, "ok 1"},
			"again, any":                   {anyRevision, []int{0, 1}, "ok 1"},
			"the first again, no stream":   {noStream, []int{0}, "ok 0"},
			"the second again, at 0":       {exact(0), []int{1}, "ok 1"},
			"the second again, exists":     {streamExists, []int{1}, "ok 1"},
			"another order, any":           {anyRevision, []int{1, 0}, "ok 0"},
			"another order, exists":        {streamExists, []int{1, 0}, "ok 0"},
			"both where they would fit":    {exact(1), []int{0, 1}, "ok 3"},
			"a new one first, any":         {anyRevision, []int{2, 1}, "ok 3"},
			"a new one first, as expected": {exact(1), []int{2, 0}, "ok 3"},
			"a new one twice":              {anyRevision, []int{2, 2}, "ok 3"},
			"a known one twice":            {exact(1), []int{1, 1}, "ok 3"},
		}
		for way, write := range ways {
			for name, c := range cases {
				stream := strings.ReplaceAll(way+"-"+name, " ", "-")
				all := several(3, "t.v1")
				s.write(stream, all[:2]...)
				var events []eventstore.Event
				for _, i := range c.ids {
					events = append(events, all[i])
				}
				if got := write(s, t, stream, c.expected, events...); got != c.want {
					t.Errorf("%s, %s: %s, want %s", way, name, got, c.want)
				}
				shown := []string{stream + "/0", stream + "/1"}
				if c.want == "ok 3" {
					shown = append(shown, stream+"/2", stream+"/3")
				}
				s.read(ofStream(stream)).wants(t, shown...)
			}
		}
	})
}

// An append with ids that a deleted stream knows begins the stream again in the same cases as in
// EventStoreDB. If it expects no revision, it is a repetition.
func TestKnownIDsInADeletedStream(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		for way, write := range ways {
			for name, c := range map[string]struct {
				expected expectation
				ids      []int // by number; 0 and 1 were recorded
				want     string
				repeated string // the answer of a repeat
			}{
				"again at the end":       {exact(1), []int{0, 1}, "ok 3", "ok 3"},
				"again at the beginning": {noStream, []int{0, 1}, "ok 1", "ok 1"},
				"again, any":             {anyRevision, []int{0, 1}, "ok 1", "ok 1"},
				"again, exists":          {streamExists, []int{0, 1}, "ok 1", "ok 1"},
				"a new one, exists":      {streamExists, []int{2}, "FailedPrecondition", "FailedPrecondition"},
				"the second, at 0":       {exact(0), []int{1}, "ok 1", "ok 1"},
				"another order, at 0":    {exact(0), []int{1, 0}, "wrong, at 1", "wrong, at 1"},
				"beyond the end":         {exact(2), []int{0, 1}, "wrong, at 1", "wrong, at 1"},
				"known, then new, any":   {anyRevision, []int{0, 2}, "wrong, at 1", "wrong, at 1"},
				"new, then known, any":   {anyRevision, []int{2, 0}, "ok 3", "ok 0"}, // where 0 was first
				"new, then known":        {noStream, []int{2, 0}, "ok 3", "ok 3"},
				"a new one twice":        {anyRevision, []int{2, 2}, "ok 3", "ok 2"},
			} {
				stream := strings.ReplaceAll(way+"-"+name, " ", "-")
				all := several(3, "t.v1")
				s.write(stream, all[:2]...)
				s.mustDelete(stream)
				var events []eventstore.Event
				for _, i := range c.ids {
					events = append(events, all[i])
				}
				for n, want := range []string{c.want, c.repeated, c.repeated} {
					if got := write(s, t, stream, c.expected, events...); got != want {
						t.Errorf("%s, %s, for the time %d: %s, want %s", way, name, n, got, want)
					}
				}
				if c.want == "ok 3" {
					s.read(ofStream(stream)).wants(t, stream+"/2", stream+"/3")
				} else {
					s.read(ofStream(stream)).wants(t, "not found "+stream)
				}
			}
		}
	})
}

// Documents of metadata are treated like other events: a repeated document is written once, and a
// new document with a used id is written.
func TestKnownIDsOfMetadata(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		for way, write := range ways {
			for name, deleted := range map[string]bool{"shown": false, "deleted": true} {
				of := way + "-" + name
				stream := "$$" + of
				s.write(of, several(2, "t.v1")...)
				written, again, end := "ok 0", "ok 1", uint64(0)
				if deleted {
					s.mustDelete(of)
					written, again, end = "ok 1", "ok 3", 2 // after it comes the same document, with a $tb
				}
				own := document(`{"own":1}`)
				for range 2 {
					if got := write(s, t, stream, anyRevision, own); got != written {
						t.Errorf("%s: %s, want %s", stream, got, written)
					}
				}
				for range 2 {
					if got := write(s, t, stream, exact(end), own); got != again {
						t.Errorf("%s, at its end: %s, want %s", stream, got, again)
					}
				}
				if got := write(s, t, stream, anyRevision, own, document(`{"own":2}`)); !strings.HasPrefix(got, "wrong") {
					t.Errorf("%s, with another: %s", stream, got)
				}
				if got := s.metadataOf(of); got != `{"own":1}` {
					t.Errorf("metadata of %s: %s", of, got)
				}
			}
		}
	})
}

// Only Tombstone ends a stream. An append with an event of the tombstone's type is refused, and the
// error says so.
func TestAnEventLikeATombstoneIsRefused(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		s.write("a", event())
		for way, write := range ways {
			for _, stream := range []string{"a", "b", "$$a", "$settings"} {
				if got := write(s, t, stream, anyRevision, typed("$streamDeleted")); got != "InvalidArgument" {
					t.Errorf("%s to %s: %s", way, stream, got)
				}
			}
			if got := write(s, t, "a", anyRevision, event(), typed("$streamDeleted")); got != "InvalidArgument" {
				t.Errorf("%s behind another: %s", way, got)
			}
		}
		_, _, err := s.appendTo("a", anyRevision, typed("$streamDeleted"))
		if err == nil || !strings.Contains(err.Error(), "Tombstone") {
			t.Errorf("the answer does not say what to do: %v", err)
		}
		s.read(ofStream("a")).wants(t, "a/0")
	})
}

package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	"daybook/eventstore"
	"daybook/eventstore/gateway"
	"daybook/eventstore/memory"
)

func TestReadsOfAStream(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		s.write("a", several(5, "t.v1")...)
		s.write("ab", event()) // another, whose name begins alike
		cases := map[string]struct {
			options *streams.ReadReq_Options
			want    []string
		}{
			"forwards from the start":       {ofStream("a"), []string{"a/0", "a/1", "a/2", "a/3", "a/4"}},
			"forwards from a revision":      {fromRevision("a", 3), []string{"a/3", "a/4"}},
			"forwards, so many":             {atMost(2, fromRevision("a", 1)), []string{"a/1", "a/2"}},
			"forwards past the end":         {fromRevision("a", 5), nil},
			"forwards from the end":         {fromEnd(ofStream("a")), nil},
			"backwards from the end":        {backwards(fromEnd(ofStream("a"))), []string{"a/4", "a/3", "a/2", "a/1", "a/0"}},
			"backwards from past the end":   {atMost(2, backwards(fromRevision("a", 9))), []string{"a/4", "a/3"}},
			"backwards from a revision":     {backwards(fromRevision("a", 1)), []string{"a/1", "a/0"}},
			"backwards from the start":      {backwards(ofStream("a")), []string{"a/0"}},
			"the number that means the end": {atMost(1, backwards(fromRevision("a", math.MaxUint64))), []string{"a/4"}},
			"none":                          {atMost(0, ofStream("a")), nil},
			"more than there can be":        {atMost(math.MaxUint64, fromRevision("a", 4)), []string{"a/4"}},
			"a missing stream":              {ofStream("b"), []string{"not found b"}},
			"and backwards":                 {backwards(fromEnd(ofStream("b"))), []string{"not found b"}},
		}
		for name, c := range cases {
			t.Run(name, func(t *testing.T) { s.read(c.options).wants(t, c.want...) })
		}
	})
}

func TestBoundsAreSentToClientsThatUnderstandThem(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		s.write("a", several(5, "t.v1")...)
		s.setMetadata("a", `{"$tb":2}`)
		understanding := func(options *streams.ReadReq_Options) *streams.ReadReq_Options {
			options.ControlOption = &streams.ReadReq_Options_ControlOption{Compatibility: 1}
			return options
		}
		s.read(understanding(atMost(2, ofStream("a")))).wants(t, "first 2", "a/2", "a/3", "last 4")
		s.read(understanding(atMost(1, backwards(fromEnd(ofStream("a")))))).wants(t, "first 2", "a/4", "last 4")
		s.read(understanding(ofStream("b"))).wants(t, "not found b")
		s.read(atMost(2, ofStream("a"))).wants(t, "a/2", "a/3")
	})
}

func TestReadsOfAll(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		var at []eventstore.Position
		for i, stream := range []string{"a-1", "b-1", "a-1", "c-1", "b-1", "a-2"} {
			at = append(at, s.write(stream, typed(fmt.Sprintf("type%d.v1", i%3))).Position)
		}
		cases := map[string]struct {
			options *streams.ReadReq_Options
			want    []string
		}{
			"forwards":                            {ofAll(), []string{"a-1/0", "b-1/0", "a-1/1", "c-1/0", "b-1/1", "a-2/0"}},
			"forwards from a position, it too":    {fromPosition(at[3]), []string{"c-1/0", "b-1/1", "a-2/0"}},
			"forwards, so many":                   {atMost(2, fromPosition(at[1])), []string{"b-1/0", "a-1/1"}},
			"forwards from the end":               {fromEnd(ofAll()), nil},
			"forwards past the end":               {fromPosition(eventstore.At(1 << 40)), nil},
			"none":                                {atMost(0, ofAll()), nil},
			"backwards":                           {backwards(fromEnd(ofAll())), []string{"a-2/0", "b-1/1", "c-1/0", "a-1/1", "b-1/0", "a-1/0"}},
			"backwards from a position, not it":   {backwards(fromPosition(at[3])), []string{"a-1/1", "b-1/0", "a-1/0"}},
			"backwards from the start":            {backwards(ofAll()), nil},
			"backwards from the number for end":   {atMost(1, backwards(fromPosition(eventstore.End))), []string{"a-2/0"}},
			"by prefix of the stream":             {filtered(ofAll(), onStream(32, prefixes("b-", "c-"))), []string{"b-1/0", "c-1/0", "b-1/1"}},
			"by prefix of the type":               {filtered(ofAll(), onType(32, prefixes("type0"))), []string{"a-1/0", "c-1/0"}},
			"by regular expression of the stream": {filtered(ofAll(), onStream(32, regex(`^[ac]-\d$`))), []string{"a-1/0", "a-1/1", "c-1/0", "a-2/0"}},
			"by regular expression of the type":   {filtered(ofAll(), onType(32, regex("[12]"))), []string{"a-1/0", "b-1/0", "a-1/1", "c-1/0", "b-1/1", "a-2/0"}},
			"found anywhere in the name":          {filtered(ofAll(), onType(32, regex("2[.]v"))), []string{"a-1/1", "a-2/0"}},
			"filtered, so many":                   {atMost(2, filtered(ofAll(), onStream(32, regex("^a")))), []string{"a-1/0", "a-1/1"}},
			"filtered backwards, so many":         {atMost(2, backwards(filtered(fromEnd(ofAll()), onStream(32, regex("^b"))))), []string{"b-1/1", "b-1/0"}},
			"prefixes backwards, from a position": {atMost(1, backwards(filtered(fromPosition(at[4]), onStream(32, prefixes("b"))))), []string{"b-1/0"}},
			"as many prefixes as may be":          {filtered(ofAll(), onStream(32, prefixes(slices.Repeat([]string{"c-"}, 256)...))), []string{"c-1/0"}},
			"as long prefixes as may be":          {filtered(ofAll(), onStream(32, prefixes("c-", strings.Repeat("x", 1<<16-2)))), []string{"c-1/0"}},
			"filtered, none":                      {filtered(ofAll(), onStream(32, regex("^x"))), nil},
		}
		for name, c := range cases {
			t.Run(name, func(t *testing.T) { s.read(c.options).wants(t, c.want...) })
		}
	})
}

// queried counts reads of $all.
type queried struct {
	eventstore.Store
	reads atomic.Int64
}

func (q *queried) ReadAll(ctx context.Context, after eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	q.reads.Add(1)
	return q.Store.ReadAll(ctx, after, filter, limit)
}

func (q *queried) ReadAllBackwards(ctx context.Context, before eventstore.Position, filter eventstore.Filter, limit int) iter.Seq2[eventstore.Recorded, error] {
	q.reads.Add(1)
	return q.Store.ReadAllBackwards(ctx, before, filter, limit)
}

// If the gateway itself filters, a read of few events asks the log for many events at once.
func TestAReadOfFewEventsExaminesManyAtOnce(t *testing.T) {
	t.Parallel()
	log := &queried{Store: memory.New()}
	s := serve(t, log, gateway.Options{})
	s.write("a", several(1100, "t.v1")...)
	s.write("b", several(2, "t.v1")...)
	s.write("a", several(1100, "t.v1")...)
	check := func(reads int64, options *streams.ReadReq_Options, want ...string) {
		t.Helper()
		log.reads.Store(0)
		s.read(options).wants(t, want...)
		if n := log.reads.Load(); n != reads {
			t.Errorf("%d reads of the log, want %d", n, reads)
		}
	}
	b := onStream(32, regex("^b"))
	check(3, filtered(atMost(1, ofAll()), b), "b/0")
	check(3, filtered(atMost(2, ofAll()), b), "b/0", "b/1")
	check(5, filtered(atMost(3, ofAll()), b), "b/0", "b/1")
	check(3, filtered(atMost(1, backwards(fromEnd(ofAll()))), b), "b/1")
	check(5, filtered(atMost(3, backwards(fromEnd(ofAll()))), b), "b/1", "b/0")
	check(1, filtered(atMost(1, ofAll()), onStream(32, prefixes("b"))), "b/0")
}

func TestReadsThatCannotBe(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		s.write("a", event())
		s.write("gone", event())
		s.mustTombstone("gone")
		change := func(options *streams.ReadReq_Options, change func(*streams.ReadReq_Options)) *streams.ReadReq_Options {
			change(options)
			return options
		}
		wrong := refusal{code: codes.InvalidArgument}
		ended := refusal{codes.FailedPrecondition, map[string]string{"exception": "stream-deleted", "stream-name": "gone"}}
		cases := map[string]struct {
			options *streams.ReadReq_Options
			want    refusal
		}{
			"no options":                     {nil, wrong},
			"no form of ids":                 {change(ofStream("a"), func(o *streams.ReadReq_Options) { o.UuidOption = nil }), wrong},
			"no stream":                      {change(ofStream("a"), func(o *streams.ReadReq_Options) { o.StreamOption = nil }), wrong},
			"no name":                        {ofStream(""), wrong},
			"no count":                       {change(ofStream("a"), func(o *streams.ReadReq_Options) { o.CountOption = nil }), wrong},
			"no revision":                    {change(ofStream("a"), func(o *streams.ReadReq_Options) { o.GetStream().RevisionOption = nil }), wrong},
			"no position":                    {change(ofAll(), func(o *streams.ReadReq_Options) { o.GetAll().AllOption = nil }), wrong},
			"a revision that cannot be":      {fromRevision("a", math.MaxInt64+1), wrong},
			"a position that cannot be":      {fromPosition(eventstore.AtPair(3, 4)), wrong},
			"a position beyond all numbers":  {fromPosition(eventstore.At(math.MaxInt64 + 1)), wrong},
			"a subscription backwards":       {following(backwards(ofStream("a"))), wrong},
			"a subscription beyond the head": {following(fromPosition(eventstore.At(1000))), wrong},
			"a direction that is none":       {change(ofStream("a"), func(o *streams.ReadReq_Options) { o.ReadDirection = 2 }), wrong},
			"a filter on a stream":           {filtered(ofStream("a"), onType(32, prefixes("x"))), wrong},
			"a filter of nothing":            {filtered(ofAll(), onType(32, prefixes())), wrong},
			"a filter of neither kind":       {filtered(ofAll(), &streams.ReadReq_Options_FilterOptions{}), wrong},
			"a filter of both kinds":         {filtered(ofAll(), onType(32, &expression{Regex: "x", Prefix: []string{"x"}})), wrong},
			"what RE2 does not have":         {filtered(ofAll(), onType(32, regex(`(?=x)y`))), wrong},
			"an expression too long":         {filtered(ofAll(), onType(32, regex(strings.Repeat("[x]", 342)))), wrong},
			"an expression too wide":         {filtered(ofAll(), onType(32, regex(strings.Repeat(`\pL`, 5)))), wrong},
			"prefixes too many":              {filtered(ofAll(), onType(32, prefixes(slices.Repeat([]string{"x"}, 257)...))), wrong},
			"prefixes too long":              {filtered(ofAll(), onType(32, prefixes(strings.Repeat("x", 1<<15), strings.Repeat("y", 1<<15+1)))), wrong},
			"an expression that repeats":     {filtered(ofAll(), onType(32, regex(`(.{500}){2}x{1000}`))), wrong},
			"a tombstoned stream":            {ofStream("gone"), ended},
			"a tombstoned stream backwards":  {backwards(fromEnd(ofStream("gone"))), ended},
			"following a tombstoned stream":  {following(ofStream("gone")), ended},
			"following its end":              {following(fromEnd(ofStream("gone"))), ended},
			"bounds of a tombstoned stream": {change(ofStream("gone"), func(o *streams.ReadReq_Options) {
				o.ControlOption = &streams.ReadReq_Options_ControlOption{Compatibility: 1}
			}), ended},
		}
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				a := s.read(c.options)
				checkRefused(t, a.err, a.trailers, c.want)
			})
		}
	})
}

// An event on the wire has everything that a client needs, byte for byte.
func TestAnEventOnTheWire(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		e := event()
		at := s.write("ünï", e).Position
		e.ID = uuid.New()
		s.write("ünï", e)
		var recorded eventstore.Recorded
		for got, err := range store.ReadStream(t.Context(), "ünï", 1, 1) {
			if err != nil {
				t.Fatal(err)
			}
			recorded = got
		}
		options := atMost(1, fromRevision("ünï", 1))
		got := s.read(options).messages[0].GetEvent()
		commit, prepare := recorded.Position.Pair()
		if got.GetCommitPosition() != commit || got.GetEvent().GetCommitPosition() != commit || got.GetEvent().GetPreparePosition() != prepare {
			t.Errorf("position %v, want %s", got, recorded.Position)
		}
		if !at.Before(recorded.Position) {
			t.Errorf("positions do not rise: %s, %s", at, recorded.Position)
		}
		if string(got.GetEvent().GetStreamIdentifier().GetStreamName()) != "ünï" || got.GetEvent().GetStreamRevision() != 1 {
			t.Errorf("place %v", got.GetEvent())
		}
		want := map[string]string{
			"type": "t.v1", "content-type": "application/json",
			"created": strconv.FormatInt(recorded.RecordedAt.UnixMicro()*10, 10),
		}
		for name, value := range want {
			if got.GetEvent().GetMetadata()[name] != value {
				t.Errorf("metadata %s is %q, want %q", name, got.GetEvent().GetMetadata()[name], value)
			}
		}
		if !bytes.Equal(got.GetEvent().GetData(), e.Data) || !bytes.Equal(got.GetEvent().GetCustomMetadata(), e.Meta) {
			t.Errorf("bytes %q, %q", got.GetEvent().GetData(), got.GetEvent().GetCustomMetadata())
		}
		id := got.GetEvent().GetId().GetStructured()
		if most, least := esdb.UUIDAsInt64(e.ID); id.GetMostSignificantBits() != most || id.GetLeastSignificantBits() != least {
			t.Errorf("id %v, want %s", id, e.ID)
		}
		options.UuidOption = textual
		if id := s.read(options).messages[0].GetEvent().GetEvent().GetId().GetString_(); id != e.ID.String() {
			t.Errorf("id %q, want %s", id, e.ID)
		}
	})
}

func TestLinksAreResolved(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		s.write("a", several(3, "t.v1")...)
		s.write("a@b", event())
		s.write("hidden", event())
		s.write("ended", event())
		s.write("cut", several(2, "t.v1")...)
		s.setMetadata("cut", `{"$tb":1}`)
		for _, target := range []string{"1@a", "0@a@b", "7@a", "0@nobody", "0@hidden", "0@ended", "0@cut", "-1@a", "1@", "x@a", "@a", "", " 1 @a"} {
			link := proposal(typed("$>"))
			link.Metadata["content-type"], link.Data = "application/octet-stream", []byte(target)
			if _, _, err := s.propose("links", anyRevision, link); err != nil {
				t.Fatal(err)
			}
		}
		s.mustDelete("hidden")
		s.mustTombstone("ended")
		broken := "broken link"
		want := []string{
			"a/1 by links/0", "a@b/0 by links/1", broken, broken, broken, broken, broken, broken, broken,
			"links/9", "links/10", "links/11", "a/1 by links/12", // 9 to 11 are no links, because they do not begin with a number
		}
		s.read(resolving(ofStream("links"))).wants(t, want...)
		s.read(resolving(filtered(ofAll(), onStream(32, prefixes("links"))))).wants(t, want...)
		s.read(atMost(2, ofStream("links"))).wants(t, "links/0", "links/1")

		first := s.read(atMost(1, resolving(ofStream("links")))).messages[0].GetEvent()
		if first.GetCommitPosition() != first.GetLink().GetCommitPosition() {
			t.Error("the position is not that of the link, where the reader is")
		}
	})
}

// The official client reads the content of a foreign writer's event byte for byte.
func TestForeignContentComesBack(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store eventstore.Store) {
		s := serve(t, store, gateway.Options{})
		client := s.client()
		all := make([]byte, 256)
		for i := range all {
			all[i] = byte(i)
		}
		contents := []esdb.EventData{
			{ContentType: esdb.ContentTypeJson, Data: []byte(`{"a": 1,  "b":[]}`), Metadata: []byte(`{"c":3}`)},
			{ContentType: esdb.ContentTypeJson, Data: []byte(`{"a":1}`)},
			{ContentType: esdb.ContentTypeJson, Data: []byte(`[1,2]`), Metadata: []byte(`"text"`)},
			{ContentType: esdb.ContentTypeJson, Data: []byte(`{"$foreign":{"content_type":"x","data":""}}`)},
			{ContentType: esdb.ContentTypeBinary, Data: []byte(`{"a":1}`)},
			{ContentType: esdb.ContentTypeBinary, Data: all, Metadata: all},
			{ContentType: esdb.ContentTypeBinary},
		}
		for i := range contents {
			contents[i].EventType, contents[i].EventID = "t", uuid.New()
		}
		if _, err := client.AppendToStream(s.ctx, "foreign", esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, contents...); err != nil {
			t.Fatal(err)
		}
		read, err := client.ReadStream(s.ctx, "foreign", esdb.ReadStreamOptions{From: esdb.Start{}}, 100)
		if err != nil {
			t.Fatal(err)
		}
		defer read.Close()
		for i, want := range contents {
			got, err := read.Recv()
			if err != nil {
				t.Fatal(err)
			}
			contentType := "application/octet-stream"
			if want.ContentType == esdb.ContentTypeJson {
				contentType = "application/json"
			}
			if got.Event.EventID != want.EventID || got.Event.ContentType != contentType ||
				!bytes.Equal(got.Event.Data, want.Data) || !bytes.Equal(got.Event.UserMetadata, want.Metadata) {
				t.Errorf("event %d came back as %s %q %q", i, got.Event.ContentType, got.Event.Data, got.Event.UserMetadata)
			}
		}
		if _, err := read.Recv(); !errors.Is(err, io.EOF) {
			t.Errorf("after the last: %v", err)
		}
	})
}

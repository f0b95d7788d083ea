package sealing_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/eventstore/sealing"
)

// table is a sealing.Table in memory.
type table struct {
	mu        sync.Mutex
	rows      map[string]sealing.Row
	destroyed []string
	current   string
	erased    string // a subject whose texts were erased
	away      error  // what each call returns
	fetched   int
}

func (t *table) Fetch(_ context.Context, id string) (sealing.Row, bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fetched++
	row, ok := t.rows[id]
	return row, ok, t.away
}

func (t *table) OfSubjects(_ context.Context, subjects []string, fresh func(string) (sealing.Row, error)) (map[string]sealing.Row, error) {
	rows := map[string]sealing.Row{}
	for _, subject := range subjects {
		row, err := t.ofSubject(subject, func() (sealing.Row, error) { return fresh(subject) })
		if errors.Is(err, sealing.ErrSubjectErased) {
			continue
		}
		if err != nil {
			return nil, err
		}
		rows[subject] = row
	}
	return rows, nil
}

func (t *table) ofSubject(subject string, fresh func() (sealing.Row, error)) (sealing.Row, error) {
	t.mu.Lock()
	if t.away != nil {
		defer t.mu.Unlock()
		return sealing.Row{}, t.away
	}
	if subject == t.erased {
		defer t.mu.Unlock()
		return sealing.Row{}, sealing.ErrSubjectErased
	}
	for _, row := range t.rows {
		if row.Subject == subject && !row.Destroyed() {
			defer t.mu.Unlock()
			return row, nil
		}
	}
	t.mu.Unlock()
	row, err := fresh()
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil && row.Master != t.current {
		return row, sealing.ErrMasterChanged
	}
	if err == nil {
		t.rows[row.ID] = row
	}
	return row, err
}

func (t *table) Destroyed(context.Context, time.Duration) ([]string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.destroyed), t.away
}

func (t *table) CurrentMaster(_ context.Context, first string) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current == "" {
		t.current = first
	}
	return t.current, t.away
}

func (t *table) Masters(context.Context) (ids []string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, row := range t.rows {
		if !row.Destroyed() && !slices.Contains(ids, row.Master) {
			ids = append(ids, row.Master)
		}
	}
	return ids, t.away
}

func (t *table) destroy(subject string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, row := range t.rows {
		if row.Subject == subject {
			row.Wrapped = nil
			t.rows[id] = row
			t.destroyed = append(t.destroyed, id)
		}
	}
}

func (t *table) setAway(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.away = err
}

// room is a log in memory with a sealing.Store before it, and a clock that a test turns.
type room struct {
	log   *memory.Store // what is recorded
	store *sealing.Store
	table *table
	keys  *sealing.Keys
	file  string // of the master keys
	clock *clock
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func fields(eventType string) []sealing.Field {
	if eventType == "told.v1" {
		return []sealing.Field{"reason", "asked.reference", "lines.*.note"}
	}
	return nil
}

func newRoom(t testing.TB) *room {
	t.Helper()
	line, _ := sealing.NewMasterKey()
	return newRoomWith(t, line)
}

// newRoomWith makes a room with a master key.
func newRoomWith(t testing.TB, line string) *room {
	t.Helper()
	r := &room{log: memory.New(), table: &table{rows: map[string]sealing.Row{}}, file: filepath.Join(t.TempDir(), "master.key"), clock: &clock{now: time.Unix(1_800_000_000, 0)}}
	if err := os.WriteFile(r.file, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.keys = r.node(t)
	r.store = sealing.New(r.log, r.keys, fields)
	return r
}

// node makes the keys of another node.
func (r *room) node(t testing.TB) *sealing.Keys {
	t.Helper()
	master, err := sealing.ReadMasterKeys(r.file)
	if err != nil {
		t.Fatal(err)
	}
	keys := sealing.NewKeys(r.table, master, r.clock.Now)
	if err := keys.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return keys
}

// told is an event of the shop.
func told(subject, data string) eventstore.Event {
	return eventstore.Event{ID: eventstore.EventID(uuid.New(), 0), Type: "told.v1", Data: []byte(data), Subject: subject}
}

func (r *room) append(t testing.TB, stream string, events ...eventstore.Event) {
	t.Helper()
	if _, err := r.store.Append(t.Context(), stream, eventstore.Any, events); err != nil {
		t.Fatal(err)
	}
}

// read returns the data of a stream's events.
func read(ctx context.Context, log eventstore.Store, stream string) (data []string, err error) {
	for e, err := range log.ReadStream(ctx, stream, 0, 0) {
		if err != nil {
			return data, err
		}
		data = append(data, string(e.Data))
	}
	return data, nil
}

// marked is an event with sealed fields. markedErased is how it reads when its key is destroyed.
const (
	marked       = `{"order_id":"o","reason":"MARKER-a","asked":{"reference":"MARKER-b","policy":"p"}, "lines":[{"note":""},{"sku":"M","note":"MARKER-c ÄÖ\n\"q\""}],"total":"1.00"}`
	markedErased = `{"order_id":"o","reason":"(erased)","asked":{"reference":"(erased)","policy":"p"}, "lines":[{"note":""},{"sku":"M","note":"(erased)"}],"total":"1.00"}`
)

// envelopes finds the envelope with which an event begins.
var envelopes = regexp.MustCompile(`^\{"sealed":\{"key":"([A-Za-z0-9_-]{16})","nonce":"([A-Za-z0-9_-]{16})","box":"[A-Za-z0-9_-]+"\},`)

func TestFieldsAreSealedInTheLogAndOpenedForReaders(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	given := []eventstore.Event{told("customer:1", marked), told("customer:1", `{"reason":""}`), told("", `{"reason":"of nobody"}`)}
	r.append(t, "order-o", given...)
	if string(given[0].Data) != marked {
		t.Errorf("the writer's event was changed: %s", given[0].Data)
	}
	recorded, err := read(t.Context(), r.log, "order-o")
	if err != nil || len(recorded) != 3 {
		t.Fatal(recorded, err)
	}
	const numbers = `{"order_id":"o","reason":{"sealed":0},"asked":{"reference":{"sealed":1},"policy":"p"}, "lines":[{"note":""},{"sku":"M","note":{"sealed":2}}],"total":"1.00"}`
	if rest := envelopes.ReplaceAllString(recorded[0], "{"); rest != numbers || rest == recorded[0] {
		t.Errorf("recorded %s", recorded[0])
	}
	if recorded[1] != `{"reason":""}` || recorded[2] != `{"reason":"of nobody"}` {
		t.Errorf("recorded %q", recorded[1:])
	}
	want := []string{marked, `{"reason":""}`, `{"reason":"of nobody"}`}
	for name, got := range r.everyRead(t) {
		slices.Sort(got)
		if sorted := slices.Sorted(slices.Values(want)); !slices.Equal(got, sorted) {
			t.Errorf("%s: read %q", name, got)
		}
	}
}

// everyRead reads the events of the log in each way that a Store has.
func (r *room) everyRead(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for name, events := range map[string]func(yield func(eventstore.Recorded, error) bool){
		"a stream":           r.store.ReadStream(t.Context(), "order-o", 0, 0),
		"a stream backwards": r.store.ReadStreamBackwards(t.Context(), "order-o", eventstore.LastRevision, 0),
		"the log":            r.store.ReadAll(t.Context(), eventstore.Start, eventstore.Filter{}, 0),
		"the log backwards":  r.store.ReadAllBackwards(t.Context(), eventstore.End, eventstore.Filter{}, 0),
	} {
		for e, err := range events {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			found[name] = append(found[name], string(e.Data))
		}
	}
	for item, err := range r.store.Subscribe(t.Context(), eventstore.Start, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if item.CaughtUp {
			break
		}
		found["a subscription"] = append(found["a subscription"], string(item.Event.Data))
	}
	return found
}

func TestSeveralStreamsAreSealedAtOnce(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	all, ok := eventstore.MultiAppenderOf(r.store)
	if !ok {
		t.Fatal("the log behind it can append to several streams")
	}
	_, err := all.AppendAll(t.Context(), []eventstore.Write{
		{Stream: "cart-a", Expected: eventstore.NoStream, Events: []eventstore.Event{told("cart:a", `{"reason":"MARKER-1"}`)}},
		{Stream: "order-b", Expected: eventstore.NoStream, Events: []eventstore.Event{told("cart:a", `{"reason":"MARKER-2"}`)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for stream, want := range map[string]string{"cart-a": `{"reason":"MARKER-1"}`, "order-b": `{"reason":"MARKER-2"}`} {
		if clear, err := read(t.Context(), r.store, stream); err != nil || !slices.Equal(clear, []string{want}) {
			t.Errorf("%s: %q, %v", stream, clear, err)
		}
		if recorded, err := read(t.Context(), r.log, stream); err != nil || strings.Contains(recorded[0], "MARKER") {
			t.Errorf("%s: recorded %q, %v", stream, recorded, err)
		}
	}
	if len(r.table.rows) != 1 {
		t.Errorf("%d keys, want one for the guest", len(r.table.rows))
	}
}

// The same append may be repeated with other nonces, because the log compares ids.
func TestARepeatedAppendIsAReplay(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	event := []eventstore.Event{told("customer:1", marked)}
	for i, replayed := range []bool{false, true} {
		result, err := r.store.Append(t.Context(), "order-o", eventstore.NoStream, event)
		if err != nil || result.Replayed != replayed {
			t.Errorf("append %d: %+v, %v", i, result, err)
		}
	}
	if clear, err := read(t.Context(), r.store, "order-o"); err != nil || !slices.Equal(clear, []string{marked}) {
		t.Errorf("%q, %v", clear, err)
	}
}

func TestNoNonceIsUsedTwice(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	const n = 2_000
	seen := map[string]bool{}
	for i := range n {
		r.append(t, "order-o", told("customer:1", fmt.Sprintf(`{"reason":"%d"}`, i%2)))
	}
	recorded, err := read(t.Context(), r.log, "order-o")
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range recorded {
		seen[envelopes.FindStringSubmatch(data)[2]] = true
	}
	if len(seen) != n {
		t.Errorf("%d nonces in %d envelopes", len(seen), n)
	}
}

// An envelope that was moved or changed is refused, and nobody reads the event without it.
func TestAMovedOrChangedEnvelopeIsRefused(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	first := told("customer:1", `{"reason":"MARKER-1","asked":{"reference":"MARKER-2"}}`)
	r.append(t, "order-o", first)
	r.append(t, "order-p", told("customer:2", `{"reason":"MARKER-3","asked":{"reference":"MARKER-4"}}`))
	both, err := read(t.Context(), r.log, "order-o")
	other, otherErr := read(t.Context(), r.log, "order-p")
	if err = errors.Join(err, otherErr); err != nil {
		t.Fatal(err)
	}
	recorded := both[0]
	found, another := envelopes.FindStringSubmatch(recorded), envelopes.FindStringSubmatch(other[0])
	for name, c := range map[string]struct {
		stream      string
		id          uuid.UUID
		data, field string
	}{
		"to another stream":       {"order-q", first.ID, recorded, "/sealed"},
		"to another event":        {"order-o", told("", "").ID, recorded, "/sealed"},
		"to another field":        {"order-o", first.ID, strings.Replace(recorded, `"reason"`, `"remark"`, 1), "/sealed"},
		"to fields in turn":       {"order-o", first.ID, strings.NewReplacer("0}", "1}", "1}", "0}").Replace(recorded), "/reason"},
		"without a number":        {"order-o", first.ID, strings.Replace(recorded, `{"sealed":1}`, `""`, 1), "/sealed"},
		"with one more number":    {"order-o", first.ID, strings.Replace(recorded, `{"sealed":1}`, `{"sealed":1},"more":{"sealed":2}`, 1), "/sealed"},
		"with a number twice":     {"order-o", first.ID, strings.Replace(recorded, `{"sealed":1}`, `{"sealed":1},"more":{"sealed":1}`, 1), "/asked/more"},
		"with another number":     {"order-o", first.ID, strings.Replace(recorded, `{"sealed":1}`, `{"sealed":1,"more":1}`, 1), "/asked/reference"},
		"with another envelope":   {"order-o", first.ID, strings.Replace(recorded, found[0], another[0], 1), "/sealed"},
		"with another key":        {"order-o", first.ID, strings.Replace(recorded, found[1], another[1], 1), "/sealed"},
		"with another box":        {"order-o", first.ID, changed(recorded, `"box":"`), "/sealed"},
		"with another nonce":      {"order-o", first.ID, changed(recorded, `"nonce":"`), "/sealed"},
		"with one more member":    {"order-o", first.ID, strings.Replace(recorded, `"},"reason"`, `","more":"1"},"reason"`, 1), "/sealed"},
		"with a box of no base64": {"order-o", first.ID, strings.Replace(recorded, `"box":"`, `"box":"*`, 1), "/sealed"},
		"alone":                   {"order-o", first.ID, strings.TrimSuffix(found[0], ",") + "}", "/sealed"},
	} {
		clear, err := r.readRecorded(t, c.stream, c.id, c.data)
		if tampered, is := errors.AsType[*sealing.TamperedError](err); !is || tampered.Stream != c.stream || tampered.Field != c.field || clear != "" {
			t.Errorf("%s: read %q, %v", name, clear, err)
		}
	}
}

// readRecorded reads an event that another log has.
func (r *room) readRecorded(t *testing.T, stream string, id uuid.UUID, data string) (string, error) {
	t.Helper()
	log := memory.New()
	if _, err := log.Append(t.Context(), stream, eventstore.Any, []eventstore.Event{{ID: id, Type: "told.v1", Data: []byte(data)}}); err != nil {
		t.Fatal(err)
	}
	clear, err := read(t.Context(), sealing.New(log, r.keys, fields), stream)
	return strings.Join(clear, "\n"), err
}

// old is the event marked in the first version, in which each field has an envelope of its own.
// oldRow is its key, wrapped by the master key oldMaster.
const (
	old = `{"order_id":"o","reason":{"sealed":{"key":"B9SL5K1JgB6ZvRUX","nonce":"IfkGUrLq-EckEnpY","box":"cViOseC3R7IXUsFdwzJSpGX7EKeS7kcZl10"}},` +
		`"asked":{"reference":{"sealed":{"key":"B9SL5K1JgB6ZvRUX","nonce":"YRMugQvjjahE6mAe","box":"-HR85NByuWq466ImgNnQ8NX-DGOPHgR90nM"}},"policy":"p"}, ` +
		`"lines":[{"note":""},{"sku":"M","note":{"sealed":{"key":"B9SL5K1JgB6ZvRUX","nonce":"v66w5hhEQMA-v7CB","box":"OraEykMOjJKuWs2818kzSYS43HdkEXVx6y1n2yfv21Xg7JOhzPY"}}}],"total":"1.00"}`
	oldMaster = "4cc06c7d38ba9a6eaec2321dfede57639958b471570d59b11b896c8cccaaf80d"
	oldID     = "ed8f0080-0da6-884b-83be-8eb11ca6b2f0"
	oldStream = "order-o"
)

func newRoomOfOld(t *testing.T) *room {
	t.Helper()
	wrapped, err := hex.DecodeString("22dc52f8e881bfb5be742464448656cab33c06b59c4f1f2c004c29f1aee0115169e15c1a762aa475378e5daab7722be9b45ff98cea5956f48bde4cb6")
	if err != nil {
		t.Fatal(err)
	}
	r := newRoomWith(t, oldMaster)
	r.table.rows["B9SL5K1JgB6ZvRUX"] = sealing.Row{ID: "B9SL5K1JgB6ZvRUX", Subject: "customer:1", Master: "265b999c4d30976b", Wrapped: wrapped}
	return r
}

func TestAnEventOfTheFirstVersionIsOpened(t *testing.T) {
	t.Parallel()
	r := newRoomOfOld(t)
	if got, err := r.readRecorded(t, oldStream, uuid.MustParse(oldID), old); err != nil || got != marked {
		t.Errorf("read %q, %v", got, err)
	}
	envelope := regexp.MustCompile(`\{"sealed":\{[^}]*\}\}`).FindAllString(old, -1)
	for name, c := range map[string]struct{ stream, id, data, field string }{
		"to another stream":        {"order-p", oldID, old, "/reason"},
		"to another event":         {oldStream, told("", "").ID.String(), old, "/reason"},
		"to another field":         {oldStream, oldID, strings.NewReplacer(envelope[0], envelope[1], envelope[1], envelope[0]).Replace(old), "/reason"},
		"to the event's beginning": {oldStream, oldID, strings.TrimSuffix(envelope[0], "}") + `,"reason":{"sealed":0}}`, "/sealed"},
		"with another box":         {oldStream, oldID, changed(old, `"box":"`), "/reason"},
		"with one more member":     {oldStream, oldID, strings.Replace(old, `"}},"asked"`, `"},"more":1},"asked"`, 1), "/reason"},
	} {
		clear, err := r.readRecorded(t, c.stream, uuid.MustParse(c.id), c.data)
		if tampered, is := errors.AsType[*sealing.TamperedError](err); !is || tampered.Stream != c.stream || tampered.Field != c.field || clear != "" {
			t.Errorf("%s: read %q, %v", name, clear, err)
		}
	}
	r.table.destroy("customer:1")
	r.clock.add(11 * time.Second)
	if got, err := r.readRecorded(t, oldStream, uuid.MustParse(oldID), old); err != nil || got != markedErased {
		t.Errorf("after the erasure: %q, %v", got, err)
	}
}

// changed changes the first character after a text.
func changed(data, after string) string {
	at := strings.Index(data, after) + len(after)
	other := "A"
	if data[at:at+1] == other {
		other = "B"
	}
	return data[:at] + other + data[at+1:]
}

// Another program may write what looks like an envelope. Nobody opens it.
func TestEventsOfOtherProgramsStayAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		`{"reason":{"sealed":{"key":"x","nonce":"y","box":"z"}}}`,
		`{"sealed":{"key":"x","nonce":"y","box":"z"},"reason":{"sealed":0}}`,
	} {
		r := newRoom(t)
		r.append(t, "order-o", eventstore.Event{ID: uuid.New(), Type: "told.v1", Data: []byte(data), Subject: "customer:1"})
		if got, err := read(t.Context(), r.store, "order-o"); err != nil || !slices.Equal(got, []string{data}) {
			t.Errorf("read %q, %v", got, err)
		}
	}
}

// A text may look like an envelope. It is only a text, also to a node that has not sealed it.
func TestATextThatLooksLikeAnEnvelopeComesBack(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	for i, data := range []string{
		`{"reason":"{\"sealed\":{\"key\":\"x\",\"nonce\":\"y\",\"box\":\"z\"}}","open":"{\"sealed\":{\"key\":\"x\"}}"}`,
		`{"open":"{\"sealed\":0}","reason":"{\"sealed\":0}","more":"{"}`,
		`{"open":"{","sealed ":"}","reason":"],[\\"}`,
	} {
		stream := fmt.Sprintf("order-%d", i)
		r.append(t, stream, told("customer:1", data))
		for _, store := range []*sealing.Store{r.store, sealing.New(r.log, r.node(t), fields)} {
			if got, err := read(t.Context(), store, stream); err != nil || !slices.Equal(got, []string{data}) {
				t.Errorf("read %q, %v", got, err)
			}
		}
	}
}

// No type of an event may have a member with the name sealed. If one had, nothing is recorded that
// could not be read.
func TestAMemberWithTheNameSealedIsRefused(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	_, err := r.store.Append(t.Context(), "order-o", eventstore.Any, []eventstore.Event{told("customer:1", `{"reason":"MARKER","open":{"sealed":0}}`)})
	if err == nil || !strings.Contains(err.Error(), "told.v1 has a member with the name sealed") {
		t.Error(err)
	}
}

func TestWhatSealingAddsIsBounded(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	for _, size := range []int{1, 100, 10_000} {
		stream := fmt.Sprintf("order-%d", size)
		data := `{"reason":"` + strings.Repeat("x", size) + `","asked":{"reference":"` + strings.Repeat("y", size) + `"}}`
		r.append(t, stream, told("customer:1", data))
		recorded, err := read(t.Context(), r.log, stream)
		if err != nil {
			t.Fatal(err)
		}
		texts := 2 * (size + 2)
		if added := len(recorded[0]) - len(data); added <= 0 || added > texts/3+2*sealing.OverheadEach+sealing.Overhead {
			t.Errorf("%d bytes of texts have %d bytes more when they are sealed", texts, added)
		}
	}
}

// A destroyed key is dropped by all nodes, also by one that has it in memory, and its fields read
// as erased. Other subjects keep theirs.
func TestADestroyedKeyErasesTheFieldsOnAllNodes(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.append(t, "order-o", told("customer:1", marked))
	r.append(t, "order-p", told("customer:2", `{"reason":"MARKER-2"}`))
	stores := []*sealing.Store{r.store, sealing.New(r.log, r.node(t), fields)}
	for _, store := range stores {
		if got, err := read(t.Context(), store, "order-o"); err != nil || got[0] != marked {
			t.Fatal(got, err)
		}
	}
	r.table.destroy("customer:1")
	r.clock.add(11 * time.Second)
	for i, store := range stores {
		if got, err := read(t.Context(), store, "order-o"); err != nil || got[0] != markedErased {
			t.Errorf("node %d reads %q, %v", i, got, err)
		}
		if got, err := read(t.Context(), store, "order-p"); err != nil || got[0] != `{"reason":"MARKER-2"}` {
			t.Errorf("node %d reads %q, %v", i, got, err)
		}
	}
	// What is written later has a new key.
	r.append(t, "order-r", told("customer:1", `{"reason":"MARKER-3"}`))
	if got, err := read(t.Context(), stores[1], "order-r"); err != nil || got[0] != `{"reason":"MARKER-3"}` {
		t.Errorf("after the erasure: %q, %v", got, err)
	}
}

// A field of a type that is not classed any more has no known form, so null stands for it.
func TestAnErasedFieldOfUnknownFormIsNull(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.append(t, "order-o", told("customer:1", `{"reason":"MARKER-1"}`))
	r.table.destroy("customer:1")
	later := sealing.New(r.log, r.node(t), func(string) []sealing.Field { return nil })
	if got, err := read(t.Context(), later, "order-o"); err != nil || got[0] != `{"reason":null}` {
		t.Errorf("read %q, %v", got, err)
	}
}

// If the keys are away, nothing reads as erased and nothing is recorded in clear text. All goes on
// when they are back.
func TestAKeyThatIsAwayIsNotErased(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.append(t, "order-o", told("customer:1", marked))
	other := sealing.New(r.log, r.node(t), fields) // it has no key in memory
	r.table.setAway(errors.New("the service of keys does not answer"))
	r.clock.add(time.Minute) // so keys in memory are too old
	for name, try := range map[string]func() error{
		"read":               func() error { _, err := read(t.Context(), r.store, "order-o"); return err },
		"read without cache": func() error { _, err := read(t.Context(), other, "order-o"); return err },
		"append": func() error {
			_, err := r.store.Append(t.Context(), "order-p", eventstore.Any, []eventstore.Event{told("customer:3", marked)})
			return err
		},
	} {
		err := try()
		_, unavailable := errors.AsType[*eventstore.UnavailableError](err)
		if !unavailable || !sealing.IsKeyAway(err) || !strings.Contains(err.Error(), "the service of keys does not answer") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := read(t.Context(), r.log, "order-p"); err == nil {
		t.Error("something was recorded")
	}
	r.append(t, "order-q", told("customer:1", `{"total":"1.00"}`)) // it needs no key
	r.table.setAway(nil)
	if got, err := read(t.Context(), r.store, "order-o"); err != nil || got[0] != marked {
		t.Errorf("when the keys are back: %q, %v", got, err)
	}
}

// A text about a subject that was erased is not kept, neither in clear text nor sealed. Everything
// else in the event is.
func TestNothingIsKeptOfAnErasedSubject(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.append(t, "order-o", told("customer:1", marked))
	r.table.destroy("customer:1")
	r.table.erased = "customer:1"
	r.keys.Drop(slices.Collect(maps.Keys(r.table.rows))...)
	r.append(t, "order-p", told("customer:1", `{"reason":"MARKER","total":"1.00"}`))
	for what, log := range map[string]eventstore.Store{"recorded": r.log, "read": r.store} {
		if got, err := read(t.Context(), log, "order-p"); err != nil || got[0] != `{"reason":"(erased)","total":"1.00"}` {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
}

// A node is told once of keys that were destroyed, so that it drops what it has in memory.
func TestANodeLearnsOfDestroyedKeys(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.append(t, "order-o", told("customer:1", marked))
	told := 0
	r.keys.Destroyed = func() { told++ }
	ask := func() {
		t.Helper()
		r.clock.add(20 * time.Second)
		if _, err := read(t.Context(), r.store, "order-o"); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	if told != 0 {
		t.Errorf("told %d times although no key was destroyed", told)
	}
	r.table.destroy("customer:1")
	for range 3 {
		ask()
	}
	if told != 1 {
		t.Errorf("told %d times, want once", told)
	}
}

// A subscriber gets an event only after Before was called with it.
func TestBeforeASubscriberGetsAnEvent(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.append(t, "order-o", told("customer:1", marked))
	refused, calls := errors.New("away"), 0
	r.store.Before = func(_ context.Context, e *eventstore.Recorded) error {
		if calls++; calls == 1 {
			return refused
		}
		r.table.destroy("customer:1")
		r.keys.Drop(slices.Collect(maps.Keys(r.table.rows))...)
		return nil
	}
	for range 2 {
		for item, err := range r.store.Subscribe(t.Context(), eventstore.Start, eventstore.Filter{}) {
			if calls == 1 {
				if _, away := errors.AsType[*eventstore.UnavailableError](err); !away || !errors.Is(err, refused) {
					t.Errorf("the first time: %v", err)
				}
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if item.Event != nil {
				if got := string(item.Event.Data); !strings.Contains(got, sealing.Erased) {
					t.Errorf("the subscriber got %s", got)
				}
				break
			}
		}
	}
}

// A file of master keys is changed in place: its mode stays, and other lines stay.
func TestAFileOfMasterKeysIsChanged(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "master.key")
	line, id := sealing.NewMasterKey()
	if err := os.WriteFile(file, []byte("# ours\n  "+line), 0o640); err != nil {
		t.Fatal(err)
	}
	keys, err := sealing.ReadMasterKeys(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := sealing.DropMasterKey(file, id); err == nil {
		t.Error("the only key was dropped")
	}
	added, err := sealing.AddMasterKey(file)
	if err != nil {
		t.Fatal(err)
	}
	if has, err := keys.Refresh(); err != nil || !slices.Equal(has, []string{id, added}) {
		t.Errorf("after one was added: %q, %v", has, err)
	}
	if err := sealing.DropMasterKey(file, "0123456789abcdef"); !errors.Is(err, sealing.ErrNoSuchMasterKey) {
		t.Errorf("an unknown key: %v", err)
	}
	if err := sealing.DropMasterKey(file, id); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(text), line[:8]) || !strings.HasPrefix(string(text), "# ours\n  ####") {
		t.Errorf("%q, %v", text, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if has, err := keys.Refresh(); err != nil || !slices.Equal(has, []string{added}) {
		t.Errorf("after one was dropped: %q, %v", has, err)
	}
	if _, err := keys.Wrap(t.Context(), id, make([]byte, 32), nil); err != nil {
		t.Errorf("a node that had the key in memory: %v", err)
	}
}

// A key whose row is lost is away and not erased, because only a destroyed key is erased.
func TestALostKeyIsAway(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.append(t, "order-o", told("customer:1", marked))
	r.table.rows = map[string]sealing.Row{}
	if got, err := read(t.Context(), sealing.New(r.log, r.node(t), fields), "order-o"); !sealing.IsKeyAway(err) {
		t.Errorf("read %q, %v", got, err)
	}
}

// The keys of two rows cannot be swapped.
func TestAKeyBelongsToItsRow(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.append(t, "order-o", told("customer:1", marked), told("customer:2", marked))
	rows := slices.Collect(maps.Values(r.table.rows))
	rows[0].Wrapped, rows[1].Wrapped = rows[1].Wrapped, rows[0].Wrapped
	r.table.rows = map[string]sealing.Row{rows[0].ID: rows[0], rows[1].ID: rows[1]}
	if got, err := read(t.Context(), sealing.New(r.log, r.node(t), fields), "order-o"); !sealing.IsKeyAway(err) {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestAKeyIsFetchedOnce(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.append(t, "order-o", told("customer:1", marked))
	store := sealing.New(r.log, r.node(t), fields)
	for range 5 {
		if _, err := read(t.Context(), store, "order-o"); err != nil {
			t.Fatal(err)
		}
	}
	if r.table.fetched != 1 {
		t.Errorf("the key was fetched %d times", r.table.fetched)
	}
}

func TestAProgramWithoutAMasterKeyOpensNothing(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.append(t, "order-o", told("customer:1", marked))
	without := sealing.New(r.log, nil, fields)
	if got, err := read(t.Context(), without, "order-o"); !sealing.IsKeyAway(err) {
		t.Errorf("read %q, %v", got, err)
	}
	if _, err := without.Append(t.Context(), "order-p", eventstore.Any, []eventstore.Event{told("customer:1", marked)}); err != nil {
		t.Fatal(err)
	}
	if got, err := read(t.Context(), r.log, "order-p"); err != nil || got[0] != marked {
		t.Errorf("recorded %q, %v", got, err)
	}
}

func TestTheFileOfMasterKeys(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "master.key")
	line, id := sealing.NewMasterKey()
	other, otherID := sealing.NewMasterKey()
	for text, want := range map[string]string{
		"": "it has no key", "# nothing\n": "it has no key", "secret-words\n": "line 1 is not 64 hexadecimal digits",
		line + "\n" + line[:63] + "\n": "line 2 is not 64 hexadecimal digits", line[:32] + "\n": "line 1 is not",
		strings.Repeat("# x\n", 20_000): "longer than",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := sealing.ReadMasterKeys(file)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret-words") || strings.Contains(err.Error(), line[:10]) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	if _, err := sealing.ReadMasterKeys(file + ".none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(file, []byte("# first\n"+line+"\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := sealing.ReadMasterKeys(file)
	if err != nil || !slices.Equal(keys.IDs(), []string{id}) {
		t.Fatal(keys, err)
	}
	_, err = keys.Wrap(t.Context(), otherID, make([]byte, 32), nil)
	if missing, is := errors.AsType[*sealing.MasterKeyMissingError](err); !is || missing.ID != otherID || !strings.Contains(err.Error(), file) {
		t.Errorf("a key that is not there: %v", err)
	}
	// A key that was added is found without a restart.
	if err := os.WriteFile(file, []byte(line+"\n"+other+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wrapped, err := keys.Wrap(t.Context(), otherID, bytes.Repeat([]byte{7}, 32), []byte("row"))
	if err != nil {
		t.Fatal(err)
	}
	if key, err := keys.Unwrap(t.Context(), otherID, wrapped, []byte("row")); err != nil || !bytes.Equal(key, bytes.Repeat([]byte{7}, 32)) {
		t.Errorf("%x, %v", key, err)
	}
	for name, try := range map[string]func() ([]byte, error){
		"another row":        func() ([]byte, error) { return keys.Unwrap(t.Context(), otherID, wrapped, []byte("raw")) },
		"another master key": func() ([]byte, error) { return keys.Unwrap(t.Context(), id, wrapped, []byte("row")) },
		"too short":          func() ([]byte, error) { return keys.Unwrap(t.Context(), otherID, wrapped[:5], []byte("row")) },
	} {
		if key, err := try(); err == nil {
			t.Errorf("%s: %x", name, key)
		}
	}
}

// BenchmarkAppend shows what sealing adds to an event: without a field, with one, and read back.
func BenchmarkAppend(b *testing.B) {
	for name, data := range map[string]string{
		"no field":  `{"order_id":"o-1","lines":[{"line":1,"sku":"MUG","quantity":"2","price":{"amount":"9.90","currency":"EUR"}}]}`,
		"one field": `{"order_id":"o-1","reason":"the customer has changed their mind","lines":[{"line":1,"sku":"MUG"}]}`,
	} {
		b.Run(name, func(b *testing.B) {
			r := newRoom(b)
			event := []eventstore.Event{told("customer:1", data)}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.store.Append(b.Context(), "order-o", eventstore.NoStream, event); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

package personal_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"daybook/domain/filestest"
	"daybook/domain/order"
	"daybook/domain/staff"
	"daybook/eventstore"
	"daybook/internal/personal"
)

// recorded is an event of the shop.
func recorded(eventType, data, meta string) eventstore.Recorded {
	return eventstore.Recorded{
		Event:  eventstore.Event{ID: eventstore.EventID(uuid.New(), 0), Type: eventType, Data: []byte(data), Meta: []byte(meta)},
		Stream: "order-o-1",
	}
}

// TestStoredEventsKeepEverythingElse withholds the personal texts of each stored event of the
// domain. Every other byte stays, so amounts keep their digits.
func TestStoredEventsKeepEverythingElse(t *testing.T) {
	t.Parallel()
	w := personal.NewWithholder([]byte("secret"))
	withheld := 0
	for _, file := range filestest.OfAggregates(t, "../../domain", "testdata/*.json") {
		name, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".json"), "~")
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		data = bytes.TrimSpace(data)
		seen := w.Event(recorded(name, string(data), `{}`))
		want := string(data)
		var value map[string]any
		if err := json.Unmarshal(data, &value); err != nil {
			t.Fatal(err)
		}
		eachText("", value, func(path, text string) {
			at := slices.IndexFunc(personal.Of(name), func(f personal.Field) bool { return f.String() == path })
			if at < 0 || text == "" {
				return
			}
			withheld++
			last := path[strings.LastIndexAny(path, ".")+1:]
			quoted, _ := json.Marshal(text)
			shown, _ := json.Marshal(w.Text(personal.Of(name)[at].Class, text))
			if strings.HasSuffix(last, personal.Each) { // an element of a list has no name
				want = strings.Replace(want, string(quoted), string(shown), 1)
				return
			}
			want = strings.Replace(want, `"`+last+`":`+string(quoted), `"`+last+`":`+string(shown), 1)
		})
		if string(seen.Data) != want {
			t.Errorf("%s\n got %s\nwant %s", filepath.Base(file), seen.Data, want)
		}
	}
	if withheld < 20 {
		t.Errorf("%d texts were withheld", withheld)
	}
}

func TestPseudonymsTellCustomersApart(t *testing.T) {
	t.Parallel()
	one, same, other := personal.NewWithholder([]byte("secret")), personal.NewWithholder([]byte("secret")), personal.NewWithholder([]byte("another"))
	ann := one.Text(personal.Customer, "ann")
	switch {
	case !strings.HasPrefix(ann, personal.Withheld+"-"), strings.Contains(ann, "ann"):
		t.Errorf("the pseudonym is %q", ann)
	case ann != same.Text(personal.Customer, "ann"):
		t.Error("two nodes show one customer differently")
	case ann == other.Text(personal.Customer, "ann"), ann == one.Text(personal.Customer, "bob"), ann == one.Text(personal.Actor, "ann"):
		t.Error("the pseudonym does not depend on the secret, the id or the class")
	}
	for actor, want := range map[string]string{
		"system:timer": "system:timer", "key:k1": "key:withheld-", "staff:p1": "staff:withheld-", "oidc:ann": "oidc:withheld-", "guest:c": "guest:withheld-",
		"ann": "withheld-", "customer:ann": "withheld-", "system": "withheld-", "key": "withheld-", "": "",
	} {
		if got := one.Text(personal.Actor, actor); !strings.HasPrefix(got, want) || actor != "system:timer" && actor != "" && strings.HasSuffix(got, actor) {
			t.Errorf("the actor %q is shown as %q", actor, got)
		}
	}
}

// An event about a person has their id, and its actor may be this person. A reader who could join
// the two would know who is behind the pseudonym everywhere.
func TestThePseudonymOfAPersonCannotBeTurnedBack(t *testing.T) {
	t.Parallel()
	const id = "p3f9a1c2d4"
	w := personal.NewWithholder([]byte("secret"))
	actor := w.Text(personal.Actor, "staff:"+id)
	for _, event := range []staff.Event{staff.SignedIn{Person: id, Session: "s1"}, staff.SignedOut{Person: id, Session: "s1"}} {
		name, data, err := staff.Encode(event)
		if err != nil {
			t.Fatal(err)
		}
		shown := w.Event(recorded(name, string(data), `{"actor":"staff:`+id+`"}`))
		if text := string(shown.Data) + string(shown.Meta); strings.Contains(text, id) || strings.Count(text, strings.TrimPrefix(actor, "staff:")) != 2 {
			t.Errorf("%s is shown as %s", name, text)
		}
	}
}

func TestWhatNobodyKnowsIsWithheldWhole(t *testing.T) {
	t.Parallel()
	w := personal.NewWithholder(nil)
	const data, meta = `{"reason":"word"}`, `{"actor":"word","command_id":"1f0d0c8e-6d5f-4a5e-9e5c-0a3d3e0b9a11","acting_for":"word","request":"1.word","note":"word"}`
	foreign := recorded("order.canceled.v1", data, meta)
	foreign.ID = uuid.New()
	for name, c := range map[string]struct {
		event eventstore.Recorded
		keeps string // in the metadata
	}{
		"an event of another program":  {event: foreign},
		"an event of a newer program":  {event: recorded("order.renamed.v1", data, strings.ReplaceAll(meta, `,"note":"word"`, "")), keeps: "command_id"},
		"an event that is no JSON":     {event: recorded("order.canceled.v1", `{"reason":"word"`, `{"actor":"word"`)},
		"an event with a list instead": {event: recorded("order.canceled.v1", `{"reason":["word"]}`, strings.ReplaceAll(meta, `,"note":"word"`, "")), keeps: "command_id"},
		"an event of the shop":         {event: recorded("order.canceled.v1", data, strings.ReplaceAll(meta, `,"note":"word"`, "")), keeps: "command_id"},
	} {
		before := string(c.event.Data)
		seen := w.Event(c.event)
		if strings.Contains(string(seen.Data)+string(seen.Meta), "word") || !strings.Contains(string(seen.Meta), c.keeps) || seen.ID == c.event.ID || seen.Type != c.event.Type {
			t.Errorf("%s is shown as %s %s", name, seen.Data, seen.Meta)
		}
		if string(c.event.Data) != before {
			t.Errorf("%s: the event itself was changed", name)
		}
	}
	if _, err := order.Decode("order.canceled.v1", w.Event(recorded("order.canceled.v1", data, `{}`)).Data); err != nil {
		t.Errorf("the event cannot be decoded any more: %v", err)
	}
}

// Of encrypted texts, nothing is shown at all: the id of the key would tell which events are about
// the same person.
func TestEncryptedTextsAreWithheld(t *testing.T) {
	t.Parallel()
	w := personal.NewWithholder(nil)
	for data, want := range map[string]string{
		`{"sealed":{"key":"word","nonce":"word","box":"word"},"order_id":"o","details":{"billing":{"lines":[{"sealed":0},{"sealed":1}],"country":"GB"},"email":{"sealed":2}}}`: `{"sealed":null,"order_id":"o","details":{"billing":{"lines":[null,null],"country":"GB"},"email":null}}`,
		`{"order_id":"o","details":{"email":{"sealed":{"key":"word","nonce":"word","box":"word"}}}}`:                                                                           `{"order_id":"o","details":{"email":null}}`,
	} {
		if seen := w.Event(recorded("order.placed.v1", data, `{}`)); string(seen.Data) != want {
			t.Errorf("%s is shown as\n%s", data, seen.Data)
		}
	}
}

func TestBodiesAreCopied(t *testing.T) {
	t.Parallel()
	type Common struct {
		Customer string `json:"customer_id" class:"customer"`
		Open     string `json:"open"`
	}
	type line struct {
		Note string `json:"note" class:"personal"`
	}
	type body struct {
		Common

		Lines []line  `json:"lines"`
		One   *line   `json:"one"`
		None  *line   `json:"none"`
		List  []*line `json:"list"`
	}
	w := personal.NewWithholder(nil)
	given := body{Common: Common{"ann", "open"}, Lines: []line{{"n"}, {""}}, One: &line{"n"}, List: []*line{{"n"}}}
	got, is := w.Body(given).(body)
	switch {
	case !is, !strings.HasPrefix(got.Customer, "withheld-"), got.Open != "open", got.Lines[0].Note != personal.Withheld, got.Lines[1].Note != "",
		got.One.Note != personal.Withheld, got.None != nil, got.List[0].Note != personal.Withheld:
		t.Errorf("got %+v", got)
	case given.Customer != "ann", given.Lines[0].Note != "n", given.One.Note != "n", given.List[0].Note != "n":
		t.Errorf("the body itself was changed: %+v", given)
	}
	for _, plain := range []any{nil, "text", 1, struct{ A string }{"a"}} {
		if got := w.Body(plain); got != plain {
			t.Errorf("%v became %v", plain, got)
		}
	}
}

func TestCursorsAreEncrypted(t *testing.T) {
	t.Parallel()
	w, other := personal.NewWithholder([]byte("a")), personal.NewWithholder([]byte("b"))
	encrypted := w.EncryptCursor("ann")
	if again := w.EncryptCursor("ann"); strings.Contains(encrypted, "ann") || again == encrypted {
		t.Errorf("the cursors %q and %q tell what is in them", encrypted, again)
	}
	for _, cursor := range []string{"", "ann", strings.Repeat("a", 511), strings.Repeat("a", 512), strings.Repeat("a", 3000)} {
		text := w.EncryptCursor(cursor)
		if got, err := personal.NewWithholder([]byte("a")).DecryptCursor(text); got != cursor || err != nil {
			t.Errorf("%d characters: %q %v", len(cursor), got, err)
		}
		if same := len(text) == len(encrypted); same != (len(cursor) < 512) {
			t.Errorf("a cursor of %d characters has the length %d, and a short one %d", len(cursor), len(text), len(encrypted))
		}
	}
	for _, bad := range []string{"", "x", "!", encrypted[1:], encrypted + "A", other.EncryptCursor("ann")} {
		if got, err := w.DecryptCursor(bad); err == nil {
			t.Errorf("%q decrypted: %q", bad, got)
		}
	}
}

// Names that a sender has chosen have pseudonyms, which do not depend on the kind of name. So the
// same provider looks the same in an event and in a body.
func TestChosenNamesHavePseudonyms(t *testing.T) {
	t.Parallel()
	w := personal.NewWithholder([]byte("secret"))
	dhl := w.Text(personal.Chosen, "DHL")
	switch {
	case !strings.HasPrefix(dhl, personal.Withheld+"-"), strings.Contains(dhl, "DHL"):
		t.Errorf("the pseudonym is %q", dhl)
	case dhl != w.Text(personal.Chosen, "DHL"), dhl == w.Text(personal.Chosen, "UPS"), dhl == w.Text(personal.Customer, "DHL"):
		t.Error("the pseudonym does not stand for the name alone")
	case w.Text(personal.Chosen, "") != "":
		t.Error("an empty name is not empty")
	}
	seen := w.Event(recorded("order.shipped.v1", `{"carrier":"DHL"}`, `{"actor":"guest:c1","$correlationId":"DHL"}`))
	if !strings.Contains(string(seen.Data), dhl) {
		t.Errorf("the event shows %s, not %s", seen.Data, dhl)
	}
}

// Holders of keys, and people, can be joined by their correlation ids. Somebody who also shops
// cannot find out whether others have sent a certain one by sending it, too.
func TestCorrelationsOfShoppersAreTheirOwn(t *testing.T) {
	t.Parallel()
	w := personal.NewWithholder([]byte("secret"))
	shown := func(actor, behalf string) string {
		event := w.Event(recorded("cart.expired.v1", `{}`, `{"$correlationId":"ann smith","actor":"`+actor+`","on_behalf_of":"`+behalf+`","trace":"ann smith"}`))
		meta, err := eventstore.DecodeMetadata(event.Meta)
		if err != nil || meta.Trace != meta.CorrelationID || !strings.HasPrefix(meta.Trace, personal.Withheld+"-") {
			t.Errorf("%s is shown as %s: %v", actor, event.Meta, err)
		}
		return meta.CorrelationID
	}
	staff := shown("staff:eve", "")
	for _, same := range [][2]string{{"key:k1", ""}, {"system:timer", ""}, {"system:reactor", "key:k1"}} {
		if got := shown(same[0], same[1]); got != staff {
			t.Errorf("%s shows %s, and a person %s", same, got, staff)
		}
	}
	guest := shown("guest:c1", "")
	if other := shown("guest:c2", ""); guest == staff || guest == other {
		t.Errorf("a guest shows %s, another one %s, and a person %s", guest, other, staff)
	}
	if got := shown("system:reactor", "guest:c1"); got != guest {
		t.Errorf("what the reactor finishes for a guest shows %s, and the guest %s", got, guest)
	}
	for _, other := range []string{"oidc:u1", "operator:eve", "everyone"} {
		if got := shown(other, ""); got == staff || got == guest {
			t.Errorf("%s shows the same as others", other)
		}
	}
}

// The ids of commands and events are replaced by others that nobody can compute. What had the same
// id still has the same.
func TestIDsCannotBeComputed(t *testing.T) {
	t.Parallel()
	w, other := personal.NewWithholder([]byte("secret")), personal.NewWithholder([]byte("another"))
	command := uuid.NewSHA1(uuid.Nil, []byte("guessed"))
	meta := `{"command_id":"` + command.String() + `","$causationId":"` + command.String() + `","actor":"key:k1"}`
	for name, c := range map[string]struct {
		id      uuid.UUID
		foreign bool
	}{
		"of the shop":             {id: eventstore.EventID(command, 0)},
		"of the first versions":   {id: uuid.NewSHA1(command, []byte{0, 0, 0, 0})},
		"of another program":      {id: uuid.NewSHA1(uuid.Nil, []byte("theirs")), foreign: true},
		"of another, and random":  {id: uuid.New(), foreign: true},
		"of the shop, the second": {id: eventstore.EventID(command, 1)},
	} {
		event := recorded("cart.expired.v1", `{}`, meta)
		event.ID = c.id
		if foreign := eventstore.Foreign(&event) != nil; foreign != c.foreign {
			t.Fatalf("%s: foreign %t", name, foreign)
		}
		seen := w.Event(event)
		if seen.ID == c.id || seen.ID != w.Event(event).ID || seen.ID == other.Event(event).ID || seen.ID.Variant() != uuid.RFC4122 {
			t.Errorf("an event %s: %s is shown as %s, again as %s, and with another secret as %s", name, c.id, seen.ID, w.Event(event).ID, other.Event(event).ID)
		}
		if foreign := eventstore.Foreign(&seen) != nil; foreign != c.foreign {
			t.Errorf("an event %s is shown as one of another program: %t", name, foreign)
		}
		if c.foreign {
			continue
		}
		got, err := eventstore.DecodeMetadata(seen.Meta)
		if err != nil || got.CommandID == command || got.CausationID != got.CommandID.String() || got.CommandID != w.ID(command) {
			t.Errorf("an event %s has the metadata %s: %v", name, seen.Meta, err)
		}
	}
	if got := w.Text(personal.Derived, "no id"); !strings.HasPrefix(got, personal.Withheld+"-") {
		t.Errorf("a text that is no id is shown as %q", got)
	}
}

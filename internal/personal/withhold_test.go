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

	"daybook/domain/order"
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
	files, err := filepath.Glob("../../domain/*/testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	withheld := 0
	for _, file := range files {
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
		if strings.Contains(string(seen.Data)+string(seen.Meta), "word") || !strings.Contains(string(seen.Meta), c.keeps) || seen.ID != c.event.ID || seen.Type != c.event.Type {
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

func TestCursorsAreSealed(t *testing.T) {
	t.Parallel()
	w, other := personal.NewWithholder([]byte("a")), personal.NewWithholder([]byte("b"))
	sealed := w.Seal("ann")
	if again := w.Seal("ann"); strings.Contains(sealed, "ann") || again == sealed {
		t.Errorf("the cursors %q and %q tell what is in them", sealed, again)
	}
	if got, err := personal.NewWithholder([]byte("a")).Unseal(sealed); got != "ann" || err != nil {
		t.Errorf("unsealed: %q %v", got, err)
	}
	for _, bad := range []string{"", "x", "!", sealed[1:], sealed + "A", other.Seal("ann")} {
		if got, err := w.Unseal(bad); err == nil {
			t.Errorf("%q unsealed: %q", bad, got)
		}
	}
}

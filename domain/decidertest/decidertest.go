// Package decidertest tests an aggregate by Given / When / Then: what has happened, which
// command is sent, and which of the three answers follows (events, nothing, or a refusal). It
// compares events and never state. So a state can change its shape without a change of the
// tests.
//
// In addition, each case checks what every aggregate promises: a decision does not change the
// state, a state survives its snapshot form (JSON), and a command that gave events gives none
// when it is sent again.
package decidertest

import (
	"errors"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"

	"daybook/domain/rule"
)

// Decider has the functions that an aggregate's package exports. C is its Command, E its Event
// and S its State.
type Decider[C, E, S any] struct {
	Decide func(C, S) ([]E, error)
	Evolve func(S, E) S
	// Recall and About are set for an aggregate whose Decide may return a
	// rule.ForgottenError.
	About  func(name string, e E) (about, enough bool)
	Recall func(s S, name string, events []E) S
}

// Case is one rule. Exactly one of Then, Refused and Nothing is set.
type Case[C, E any] struct {
	Given []E
	When  C

	// Then are the events that follow.
	Then []E
	// Refused is the refusal that follows. It is compared by code, and by facts if it has
	// some: Refused: ErrShort.With("", map[string]any{...}).
	Refused *rule.Rejection
	// Nothing means that the state is already as the command wants it.
	Nothing bool

	// Repeats marks a command that happens again when it is sent again, such as "receive 5
	// units". Every other command that gave events must give nothing or a refusal when it is
	// sent again.
	Repeats bool
}

// Run tests each case under its name.
func (d Decider[C, E, S]) Run(t *testing.T, cases map[string]Case[C, E]) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		t.Run(name, func(t *testing.T) { d.check(t, cases[name]) })
	}
}

// Fold is the state after events.
func (d Decider[C, E, S]) Fold(events ...E) S {
	var state S
	for _, e := range events {
		state = d.Evolve(state, e)
	}
	return state
}

// Ask decides, and looks up in the history what the state has forgotten.
func (d Decider[C, E, S]) Ask(cmd C, state S, history []E) ([]E, error) {
	asked := map[string]bool{}
	for {
		events, err := d.Decide(cmd, state)
		forgotten, ok := errors.AsType[*rule.ForgottenError](err)
		if !ok || d.Recall == nil || asked[forgotten.Name] {
			return events, err
		}
		asked[forgotten.Name] = true
		var told []E
		for _, e := range slices.Backward(history) {
			about, enough := d.About(forgotten.Name, e)
			if about {
				told = append(told, e)
			}
			if enough {
				break
			}
		}
		state = d.Recall(state, forgotten.Name, told)
	}
}

func (d Decider[C, E, S]) check(t testing.TB, c Case[C, E]) {
	t.Helper()
	answers := 0
	for _, set := range []bool{len(c.Then) > 0, c.Refused != nil, c.Nothing} {
		if set {
			answers++
		}
	}
	if answers != 1 {
		t.Fatal("set exactly one of Then, Refused and Nothing")
	}

	state := d.Fold(c.Given...)
	before := text(t, state)
	got, err := d.Ask(c.When, state, c.Given)
	if after := text(t, state); after != before {
		t.Errorf("Decide changed the state\nfrom %s\nto   %s", before, after)
	}
	checkSnapshot(t, state)
	if c.Refused != nil {
		checkRefusal(t, got, err, c.Refused)
		return
	}
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	compareEvents(t, got, c.Then)

	for _, e := range got {
		state = d.Evolve(state, e)
	}
	checkSnapshot(t, state)
	if again, err := d.Ask(c.When, state, slices.Concat(c.Given, got)); !c.Repeats && err == nil && len(again) > 0 {
		t.Errorf("the command was sent again and gave events again: %s", lines(t, again))
	}
}

func checkRefusal[E any](t testing.TB, got []E, err error, want *rule.Rejection) {
	t.Helper()
	rejection, refused := errors.AsType[*rule.Rejection](err)
	switch {
	case err == nil:
		t.Fatalf("not refused, but %s", lines(t, got))
	case !refused:
		t.Fatalf("got error %v, want the refusal %s", err, want.Code)
	case rejection.Code != want.Code:
		t.Fatalf("refused with %v, want %s", rejection, want.Code)
	case len(got) > 0:
		t.Errorf("a refusal appends nothing, got %s", lines(t, got))
	case rejection.Detail == "":
		t.Error("a refusal has a sentence for a person")
	}
	if want.Facts == nil {
		return
	}
	if got, want := text(t, rejection.Facts), text(t, want.Facts); got != want {
		t.Errorf("facts\n got %s\nwant %s", got, want)
	}
}

func compareEvents[E any](t testing.TB, got, want []E) {
	t.Helper()
	if got, want := lines(t, got), lines(t, want); got != want {
		t.Errorf("events\n got %s\nwant %s", got, want)
	}
}

// checkSnapshot writes a state as JSON and reads it back.
func checkSnapshot[S any](t testing.TB, state S) {
	t.Helper()
	for _, field := range unwritten(reflect.TypeFor[S](), nil) {
		t.Errorf("%s is not in the state's snapshot", field)
	}
	var back S
	written := text(t, state)
	if err := json.Unmarshal([]byte(written), &back); err != nil {
		t.Fatalf("the state's snapshot cannot be read: %v\n%s", err, written)
	}
	if got := text(t, back); got != written {
		t.Errorf("the state's snapshot reads back as\n     %s\nfrom %s", got, written)
	}
}

// EveryCommandIsBounded tests that each command of the package under test has a row in which a
// limit on a sum refuses it. limits are those refusals. A command that needs no such limit is
// in boundedBy, with the reason.
func EveryCommandIsBounded[C, E any](t testing.TB, rows map[string]Case[C, E], limits []*rule.Rejection, boundedBy map[string]string) {
	t.Helper()
	tested := map[string]bool{}
	for name, row := range rows {
		command := reflect.TypeOf(row.When).Name()
		if boundedBy[command] != "" {
			t.Errorf("%s: the test says that %s needs no limit, but this row has one", name, command)
		}
		for _, limit := range limits {
			if row.Refused != nil && row.Refused.Code == limit.Code {
				tested[command] = true
			}
		}
	}
	for _, command := range Sealed(t, "Command") {
		if boundedBy[command] == "" && !tested[command] {
			t.Errorf("%s has no row in which a limit refuses it", command)
		}
	}
}

var kebab = regexp.MustCompile(`^[a-z]+(-[a-z]+)+$`)

// EveryRefusalHasARow tests that each declared refusal is the answer of at least one case, and that
// its code is well-formed and unique. No case may expect an undeclared refusal.
func (d Decider[C, E, S]) EveryRefusalHasARow(t testing.TB, declared []*rule.Rejection, tables ...map[string]Case[C, E]) {
	t.Helper()
	rows := map[string]int{}
	for _, table := range tables {
		for _, c := range table {
			if c.Refused != nil {
				rows[c.Refused.Code]++
			}
		}
	}
	seen := map[string]bool{}
	for _, r := range declared {
		if !kebab.MatchString(r.Code) || r.Detail == "" {
			t.Errorf("%q: want a code in kebab-case and a detail", r.Code)
		}
		if seen[r.Code] {
			t.Errorf("%s is declared twice", r.Code)
		}
		seen[r.Code] = true
		if rows[r.Code] == 0 {
			t.Errorf("%s has no row", r.Code)
		}
	}
	for code := range rows {
		if !seen[code] {
			t.Errorf("%s is not in the list of declared refusals", code)
		}
	}
}

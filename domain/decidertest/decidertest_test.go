package decidertest

import (
	"fmt"
	"strings"
	"testing"

	"daybook/domain/rule"
)

// A lamp is the smallest aggregate that can give all three answers.
type (
	press struct{ On bool }
	event interface{ lampEvent() }
	lit   struct{ Count int }
	out   struct{}
	lamp  struct {
		On    bool
		Count int
	}
)

func (lit) lampEvent() {}
func (out) lampEvent() {}

var errWornOut = &rule.Rejection{Code: "lamp-worn-out", Detail: "The lamp is worn out."}

func decide(c press, s lamp) ([]event, error) {
	switch {
	case c.On == s.On:
		return nil, nil
	case c.On && s.Count >= 2:
		return nil, errWornOut.With("The lamp has been lit twice.", map[string]any{"count": s.Count})
	case c.On:
		return []event{lit{Count: s.Count + 1}}, nil
	}
	return []event{out{}}, nil
}

func evolve(s lamp, e event) lamp {
	switch e := e.(type) {
	case lit:
		return lamp{On: true, Count: e.Count}
	case out:
		s.On = false
	}
	return s
}

var lamps = Decider[press, event, lamp]{Decide: decide, Evolve: evolve}

func TestAnswersAreCompared(t *testing.T) {
	lamps.Run(t, map[string]Case[press, event]{
		"a dark lamp can be lit":        {When: press{On: true}, Then: []event{lit{Count: 1}}},
		"lighting a lit lamp does none": {Given: []event{lit{Count: 1}}, When: press{On: true}, Nothing: true},
		"a third time is refused": {
			Given: []event{lit{Count: 2}, out{}}, When: press{On: true},
			Refused: errWornOut.With("", map[string]any{"count": 2}),
		},
	})
}

// recorder is a test that may fail. The test that runs it does not fail then.
type recorder struct {
	testing.TB
	failures []string
}

func (r *recorder) Helper()                           {}
func (r *recorder) Error(args ...any)                 { r.failures = append(r.failures, fmt.Sprint(args...)) }
func (r *recorder) Errorf(format string, args ...any) { r.Error(fmt.Sprintf(format, args...)) }
func (r *recorder) Fatal(args ...any)                 { r.Error(args...); panic(r) }
func (r *recorder) Fatalf(format string, args ...any) { r.Errorf(format, args...); panic(r) }

func failures(run func(testing.TB)) (text string) {
	r := &recorder{}
	defer func() {
		if p := recover(); p != nil && p != any(r) {
			panic(p)
		}
		text = strings.Join(r.failures, "\n")
	}()
	run(r)
	return ""
}

func TestWrongExpectationsFail(t *testing.T) {
	forgetful := lamps
	forgetful.Evolve = func(s lamp, _ event) lamp { return s }
	for name, c := range map[string]struct {
		decider Decider[press, event, lamp]
		row     Case[press, event]
		want    string
	}{
		"no answer given":  {lamps, Case[press, event]{When: press{On: true}}, "exactly one"},
		"two answers":      {lamps, Case[press, event]{Nothing: true, Refused: errWornOut}, "exactly one"},
		"other events":     {lamps, Case[press, event]{When: press{On: true}, Then: []event{lit{Count: 2}}}, "events"},
		"other event type": {lamps, Case[press, event]{When: press{On: true}, Then: []event{out{}}}, "events"},
		"not nothing":      {lamps, Case[press, event]{When: press{On: true}, Nothing: true}, "events"},
		"not refused":      {lamps, Case[press, event]{When: press{On: true}, Refused: errWornOut}, "not refused"},
		"other facts": {lamps, Case[press, event]{
			Given: []event{lit{Count: 2}, out{}}, When: press{On: true},
			Refused: errWornOut.With("", map[string]any{"count": 3}),
		}, "facts"},
		"other code": {lamps, Case[press, event]{
			Given: []event{lit{Count: 2}, out{}}, When: press{On: true}, Refused: &rule.Rejection{Code: "lamp-missing"},
		}, "want lamp-missing"},
		"a retry adds": {forgetful, Case[press, event]{When: press{On: true}, Then: []event{lit{Count: 1}}}, "sent again"},
	} {
		got := failures(func(r testing.TB) { c.decider.check(r, c.row) })
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: failed with %q, want it to say %q", name, got, c.want)
		}
	}
}

func TestADeciderThatChangesItsStateFails(t *testing.T) {
	type counts map[string]int
	careless := Decider[press, event, counts]{
		Decide: func(_ press, s counts) ([]event, error) { s["seen"]++; return nil, nil },
		Evolve: func(counts, event) counts { return counts{} },
	}
	got := failures(func(r testing.TB) {
		careless.check(r, Case[press, event]{Given: []event{out{}}, Nothing: true})
	})
	if !strings.Contains(got, "Decide changed the state") {
		t.Errorf("failed with %q", got)
	}
}

func TestAStateThatLosesSomethingInItsSnapshotFails(t *testing.T) {
	type part struct{ hidden int }
	type secretive struct{ Parts map[string][]part }
	hiding := Decider[press, event, secretive]{
		Decide: func(press, secretive) ([]event, error) { _ = part{}.hidden; return nil, nil },
		Evolve: func(s secretive, _ event) secretive { return s },
	}
	got := failures(func(r testing.TB) { hiding.check(r, Case[press, event]{Nothing: true}) })
	if !strings.Contains(got, "part.hidden") {
		t.Errorf("failed with %q", got)
	}
}

func TestARefusalWithoutARowFails(t *testing.T) {
	row := map[string]Case[press, event]{"row": {Refused: errWornOut}}
	other := &rule.Rejection{Code: "lamp-missing", Detail: "No lamp."}
	shouting := &rule.Rejection{Code: "LAMP", Detail: "No lamp."}
	for name, c := range map[string]struct {
		declared []*rule.Rejection
		want     string
	}{
		"no row":       {[]*rule.Rejection{errWornOut, other}, "lamp-missing has no row"},
		"not declared": {[]*rule.Rejection{}, "not in the list"},
		"twice":        {[]*rule.Rejection{errWornOut, errWornOut}, "declared twice"},
		"code":         {[]*rule.Rejection{errWornOut, shouting}, "kebab-case"},
	} {
		got := failures(func(r testing.TB) { lamps.EveryRefusalHasARow(r, c.declared, row) })
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: failed with %q, want it to say %q", name, got, c.want)
		}
	}
	if got := failures(func(r testing.TB) { lamps.EveryRefusalHasARow(r, []*rule.Rejection{errWornOut}, row) }); got != "" {
		t.Errorf("failed with %q", got)
	}
}

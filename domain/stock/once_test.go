package stock

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"daybook/domain/decidertest"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

// once is a command that happens once under its id. It lists the fields that are not compared, each
// with the reason.
type once struct {
	given []Event
	cmd   Command
	apart map[string]string
}

func onceRows() []once {
	const names = "is part of the name: another one names something else"
	const permits = "permits, and is not what is asked for"
	own := Origin{Direct: true}
	reserve := Reserve{At: at, Origin: own, ReservationID: "d", OrderID: "o", Quantity: 2, ExpiresAt: soon, ReserveSeconds: 60}
	named := reserve
	named.ReserveSeconds, named.Fixed = 0, true
	process := reserve
	process.Origin, process.ReserveSeconds = Origin{}, 0
	mine := map[string]string{"ReservationID": names, "Override": permits, "Commit": "turns what has the id into a promise"}
	with := func(more map[string]string) map[string]string {
		all := maps.Clone(mine)
		maps.Copy(all, more)
		return all
	}
	return []once{
		{given(received(9)), reserve, with(map[string]string{"ExpiresAt": "is counted from now", "Fixed": "says that the deadline is named; it is then the same as the recorded one"})},
		{given(received(9)), named, with(map[string]string{"Fixed": "a process's deadline is counted from now"})},
		{given(received(9)), process, with(map[string]string{"ExpiresAt": "a process counts it from now", "Fixed": "the deadline named is the recorded one"})},
		{nil, TakeBack{At: at, Origin: own, ReturnID: "r", Receipt: 1, OrderID: "o", Quantity: 2, Condition: Damaged}, map[string]string{
			"ReturnID": names, "Receipt": names, "Condition": names, "Direct": names, "Override": permits,
		}},
		{nil, TakeParcelBack{At: at, OrderID: "o", ShipmentID: "p", Quantity: 2, Condition: Damaged, Keep: 1, ReservationID: "k"}, map[string]string{
			"OrderID": names, "ShipmentID": names, "Condition": names,
			"Keep": "the order fixes it together with the parcel", "ReservationID": "follows from the order and the parcel",
		}},
		{given(received(9)), TransferOut{At: at, TransferID: "t", To: "north", Quantity: 2}, map[string]string{"TransferID": names}},
		{nil, TransferIn{At: at, TransferID: "t", From: "north", Quantity: 2}, map[string]string{"TransferID": names}},
		{given(received(9), allocated("o", 5)), Ship{At: at, Origin: own, OrderID: "o", ShipmentID: "p", Quantity: 2}, map[string]string{
			"OrderID": names, "ShipmentID": names, "Direct": names, "Override": permits, "Force": permits,
		}},
		{given(received(9), allocated("o", 5)), Deallocate{At: at, OrderID: "o", Ref: "step", Quantity: 2, Reason: "r"}, map[string]string{
			"OrderID": names, "Ref": names, "Direct": permits, "Override": permits,
			"Quantity": "up to so many are taken back, so what was taken does not tell what was asked for; the ref names one request or step, which has one quantity",
			"Reason":   "explains",
		}},
	}
}

// A command that happens once is refused if it is sent again with one field changed. Otherwise the
// changed request would be dropped in silence.
func TestARepeatWithAChangedFieldIsRefused(t *testing.T) {
	tried := map[string]bool{}
	for _, test := range onceRows() {
		name := reflect.TypeOf(test.cmd).Name()
		tried[name] = true
		events, err := Decide(test.cmd, stocks.Fold(test.given...))
		if err != nil || len(events) != 1 {
			t.Fatalf("%s: %v, %v", name, events, err)
		}
		history := slices.Concat(test.given, events)
		if again, err := stocks.Ask(test.cmd, stocks.Fold(history...), history); err != nil || len(again) > 0 {
			t.Errorf("%s again: %v, %v; want nothing", name, again, err)
		}
		changed := otherwise(reflect.ValueOf(test.cmd))
		for field, cmd := range changed {
			if test.apart[field] != "" {
				continue
			}
			for age, state := range map[string]State{"fresh": stocks.Fold(history...), "forgotten": withoutMemory(history)} {
				again, err := stocks.Ask(cmd.Interface().(Command), state, history)
				if _, refused := errors.AsType[*rule.Rejection](err); !refused {
					t.Errorf("%s, %s, with another %s: %v, %v; want it refused", name, age, field, again, err)
				}
			}
		}
		for field := range test.apart {
			if _, has := changed[field]; !has {
				t.Errorf("%s has no field %s", name, field)
			}
		}
	}
	acting := map[string]string{
		"Extend": "moves a deadline of what has the id", "Release": "ends what has the id", "Commit": "turns what has the id into a promise",
	}
	for _, command := range decidertest.Sealed(t, "Command") {
		if hasID(command) != (tried[command] || acting[command] != "") {
			t.Errorf("%s: has an id %t, tried %t", command, hasID(command), tried[command])
		}
	}
}

// withoutMemory returns the state after so many other events that the log must be asked.
func withoutMemory(history []Event) State {
	s := stocks.Fold(history...)
	for n := range rememberedMovements + 1 {
		id := unit.TransferID("other" + time.Duration(n).String())
		s = Evolve(s, TransferredIn{Key: lamp, TransferID: id, From: "south", Quantity: 1})
	}
	return s
}

// hasID tells whether a command has an id of its own.
func hasID(command string) bool {
	for _, cmd := range []Command{
		Receive{}, Adjust{}, Count{}, Reserve{}, Extend{}, Release{}, ExpireDue{}, Commit{}, Allocate{}, Deallocate{}, Ship{}, TakeBack{}, TakeParcelBack{}, Move{}, TransferOut{}, TransferIn{}, SetPolicy{},
	} {
		typ := reflect.TypeOf(cmd)
		if typ.Name() != command {
			continue
		}
		for f := range typ.Fields() {
			if f.Name == "Ref" || strings.HasSuffix(f.Name, "ID") && f.Name != "OrderID" {
				return true
			}
		}
		return false
	}
	return true // this is a new command, and it must be listed here
}

// otherwise returns copies of a command, each with another value in one field.
func otherwise(cmd reflect.Value) map[string]reflect.Value {
	copies := map[string]reflect.Value{}
	for f, value := range cmd.Fields() {
		switch {
		case f.Type == reflect.TypeFor[At]():
		case f.Anonymous:
			for name, changed := range otherwise(value) {
				whole := reflect.New(cmd.Type()).Elem()
				whole.Set(cmd)
				whole.FieldByIndex(f.Index).Set(changed)
				copies[name] = whole
			}
		default:
			changed := reflect.New(cmd.Type()).Elem()
			changed.Set(cmd)
			field := changed.FieldByIndex(f.Index)
			switch {
			case f.Type == reflect.TypeFor[time.Time]():
				field.Set(reflect.ValueOf(value.Interface().(time.Time).Add(time.Second)))
			case f.Type == reflect.TypeFor[Condition]():
				field.SetString(string(OtherCondition))
			case f.Type.Kind() == reflect.Bool:
				field.SetBool(!value.Bool())
			case f.Type.Kind() == reflect.String:
				field.SetString(value.String() + "x")
			default:
				field.SetInt(value.Int() + 1)
			}
			copies[f.Name] = changed
		}
	}
	return copies
}

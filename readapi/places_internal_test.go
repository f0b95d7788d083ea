package readapi

import (
	"testing"

	"daybook/domain/access"
	"daybook/domain/unit"
	"daybook/internal/problem"
)

// One key may not take all places, from however many addresses it comes. Without access control
// only the address counts.
func TestOneKeyCannotTakeAllPlaces(t *testing.T) {
	t.Parallel()
	from := func(address, id, actFor string) *problem.Request {
		r := &problem.Request{Client: address, Who: access.Everyone}
		if id != "" {
			r.Who = access.Principal{ID: id, ActsFor: unit.CustomerID(actFor)}
		}
		return r
	}
	places := newPlaces("streams", 8, 0, 3)
	enter := func(r *problem.Request) (leave func(), free bool) {
		leave, err := places.enter(r)
		return leave, err == nil
	}
	var leaves []func()
	for i, address := range []string{"a", "b", "c"} {
		leave, free := enter(from(address, "key:shop", ""))
		if !free {
			t.Fatalf("stream %d is refused", i)
		}
		leaves = append(leaves, leave)
	}
	if _, free := enter(from("d", "key:shop", "")); free {
		t.Error("a fourth stream with one key is open")
	}
	for name, other := range map[string]*problem.Request{"for a customer": from("d", "key:shop", "17850"), "another key": from("d", "key:other", "")} {
		leave, free := enter(other)
		if !free {
			t.Errorf("%s: refused", name)
			continue
		}
		leave()
	}
	for _, leave := range leaves {
		leave()
	}
	if len(places.takenBy) != 0 || places.taken != 0 {
		t.Errorf("after the end of all streams: %v, %d", places.takenBy, places.taken)
	}
	for _, address := range []string{"a", "a", "b", "b"} { // a quarter of the places for each address
		if _, free := enter(from(address, "", "")); !free {
			t.Errorf("without access control, %s is refused", address)
		}
	}
	if _, free := enter(from("a", "", "")); free {
		t.Error("a third stream from one address is open")
	}
}

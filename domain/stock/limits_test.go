package stock

import (
	"fmt"
	"testing"

	"daybook/domain/decidertest"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

// full is a stock with this much room left below the most that can be on hand.
func full(room unit.Quantity) []Event {
	return given(Counted{Key: lamp, Counted: unit.MaxOnHand - room})
}

func limit(room, quantity unit.Quantity) *rule.Rejection {
	return ErrLimit.With("", facts{"limit": unit.MaxOnHand, "on_hand": unit.MaxOnHand - room, "quantity": quantity})
}

// limitRows has two rows for each command that adds to a sum: the largest command that fits, and
// the smallest one that does not.
func limitRows() map[string]row {
	most := unit.MaxQuantity
	damaged := Adjusted{Key: lamp, Change: 5, Reason: Correction, Condition: Damaged}
	back := func(n unit.Quantity, c Condition) TakeBack {
		return TakeBack{At: at, ReturnID: "r", Quantity: n, Condition: c}
	}
	parcel := func(n unit.Quantity) TakeParcelBack {
		return TakeParcelBack{At: at, OrderID: "o", ShipmentID: "p", Quantity: n, Condition: Damaged}
	}
	in := func(n unit.Quantity) TransferIn {
		return TransferIn{At: at, TransferID: "t", From: "north", Quantity: n}
	}
	return map[string]row{
		"a receipt can reach the limit":                          {Given: full(most), When: Receive{At: at, Quantity: most}, Then: given(received(most)), Repeats: true},
		"a receipt cannot exceed the limit":                      {Given: full(most - 1), When: Receive{At: at, Quantity: most}, Refused: limit(most-1, most)},
		"an adjustment can reach the limit":                      {Given: full(5), When: Adjust{At: at, Change: 5, Reason: Correction, Condition: Damaged}, Then: given(damaged)},
		"an adjustment cannot exceed the limit":                  {Given: full(4), When: Adjust{At: at, Change: 5, Reason: Correction}, Refused: limit(4, 5)},
		"an adjustment of damaged goods cannot exceed the limit": {Given: full(4), When: Adjust{At: at, Change: 5, Reason: Correction, Condition: Damaged}, Refused: limit(4, 5)},
		"a count can reach the limit":                            {Given: full(5), When: Count{At: at, Expected: unit.MaxOnHand - 5, Counted: unit.MaxOnHand}, Then: given(Counted{Key: lamp, Expected: unit.MaxOnHand - 5, Counted: unit.MaxOnHand}), Repeats: true},
		"a count cannot exceed the limit":                        {Given: full(5), When: Count{At: at, Expected: unit.MaxOnHand - 5, Counted: unit.MaxOnHand + 1}, Refused: limit(5, unit.MaxOnHand+1)},
		"a count cannot be below zero":                           {When: Count{At: at, Counted: -1}, Refused: ErrQuantityInvalid},
		"returned goods can reach the limit":                     {Given: full(5), When: back(5, Damaged), Then: given(Returned{Key: lamp, ReturnID: "r", Quantity: 5, Condition: Damaged})},
		"returned goods cannot exceed the limit":                 {Given: full(4), When: back(5, Available), Refused: limit(4, 5)},
		"a parcel that came back can reach the limit":            {Given: full(5), When: parcel(5), Then: given(CameBack{Key: lamp, OrderID: "o", ShipmentID: "p", Quantity: 5, Condition: Damaged})},
		"a parcel that came back cannot exceed the limit":        {Given: full(4), When: parcel(5), Refused: limit(4, 5)},
		"a transfer can reach the limit":                         {Given: full(5), When: in(5), Then: given(TransferredIn{Key: lamp, TransferID: "t", From: "north", Quantity: 5})},
		"a transfer cannot exceed the limit":                     {Given: full(4), When: in(5), Refused: limit(4, 5)},
		"a count can exceed the limit of a single quantity": {
			Given: given(received(most), received(most)), When: Count{At: at, Expected: 2 * most, Counted: 2*most - 1},
			Then: given(Counted{Key: lamp, Expected: 2 * most, Counted: 2*most - 1}),
		},
		// Logs from before the limit may hold more.
		"a stock that exceeds the limit can be counted down": {
			Given: append(full(0), received(most)), When: Count{At: at, Expected: unit.MaxOnHand + most, Counted: 7},
			Then: given(Counted{Key: lamp, Expected: unit.MaxOnHand + most, Counted: 7}),
		},
		"a stock that exceeds the limit can be adjusted down": {
			Given: append(full(0), received(most)), When: Adjust{At: at, Change: -1, Reason: Shrinkage},
			Then: given(Adjusted{Key: lamp, Change: -1, Reason: Shrinkage}), Repeats: true,
		},
		"a stock that exceeds the limit takes in nothing": {Given: append(full(0), received(most)), When: Receive{At: at, Quantity: 1}, Refused: limit(-most, 1)},
	}
}

func TestSumsHaveLimits(t *testing.T) { stocks.Run(t, limitRows()) }

func TestEveryCommandIsBounded(t *testing.T) {
	rows := limitRows()
	for name, r := range rows { // commands that only take away exist for the logs from before the limit
		if a, ok := r.When.(Adjust); ok && a.Change < 0 {
			delete(rows, name)
		}
	}
	decidertest.EveryCommandIsBounded(t, rows, []*rule.Rejection{ErrLimit}, map[string]string{
		"Reserve": "on hand and the backorder limit", "Allocate": "on hand and the backorder limit", "Commit": "what was reserved",
		"Extend": "moves no units", "Release": "takes away", "ExpireDue": "takes away", "Deallocate": "takes away", "Ship": "takes away",
		"TransferOut": "takes away", "Move": "what is on hand in another condition", "SetPolicy": "replaces",
	})
}

// The sum of all promises is bounded by the most that can be on hand, and by the policy.
func TestPromisesAreBoundedByWhatIsOnHand(t *testing.T) {
	s := stocks.Fold(append(full(0), policy(0, unit.MaxQuantity, 0))...)
	for n := 0; ; n++ {
		events, err := Decide(Reserve{At: at, ReservationID: unit.ReservationID(fmt.Sprint(n)), OrderID: "o", Quantity: unit.MaxQuantity, ExpiresAt: soon}, s)
		if err != nil {
			break
		}
		for _, e := range events {
			s = Evolve(s, e)
		}
	}
	if got, want := s.Reserved(noon), unit.MaxOnHand+unit.MaxQuantity; got != want {
		t.Errorf("%d reserved, want at most %d", got, want)
	}
}

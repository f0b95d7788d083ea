package returns

import (
	"testing"

	"daybook/domain/decidertest"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

func lines(quantities ...unit.Quantity) []Line {
	made := make([]Line, len(quantities))
	for i, q := range quantities {
		made[i] = Line{SKU: "A", Kind: unit.Stocked, Quantity: q, Price: pounds("1")}
	}
	return made
}

func credits(price string, quantities ...unit.Quantity) []CreditLine {
	made := make([]CreditLine, len(quantities))
	for i, q := range quantities {
		made[i] = CreditLine{Number: i + 1, SKU: "A", Quantity: q, Price: pounds(price)}
	}
	return made
}

// limiting has two rows for each command that adds to a sum: the largest command that fits, and the
// smallest one that does not.
var limiting = map[string]row{
	"a return can have the largest number of units":       {When: Request{ReturnID: "r", Currency: "GBP", Lines: lines(unit.MaxQuantity-1, 1)}, Then: []Event{Requested{ReturnID: "r", Currency: "GBP", Lines: numbered(lines(unit.MaxQuantity-1, 1))}}},
	"a return cannot have more units than the limit":      {When: Request{ReturnID: "r", Currency: "GBP", Lines: lines(unit.MaxQuantity-1, 2)}, Refused: ErrUnitLimit.With("", map[string]any{"limit": unit.MaxQuantity, "units": unit.MaxQuantity - 1, "quantity": 2})},
	"a return cannot be worth more than the limit":        {When: Request{ReturnID: "r", Currency: "GBP", Lines: []Line{{SKU: "A", Kind: unit.Stocked, Quantity: 10, Price: pounds("100000000000000000")}}}, Refused: ErrAmountLimit},
	"a credit note cannot have more units than the limit": {When: NoteCredit{ReturnID: "n", Currency: "GBP", Lines: credits("1", -unit.MaxQuantity, 1)}, Refused: ErrUnitLimit},
	"a credit note cannot be worth more than the limit":   {When: NoteCredit{ReturnID: "n", Currency: "GBP", Lines: credits("100000000000000000", 5, -5)}, Refused: ErrAmountLimit},
	"the smallest quantity of 64 bits is refused":         {When: NoteCredit{ReturnID: "n", Currency: "GBP", Lines: credits("1", -1<<63)}, Refused: ErrUnitLimit},
}

func TestSumsHaveLimits(t *testing.T) { backs.Run(t, limiting) }

func TestEveryCommandIsBounded(t *testing.T) {
	decidertest.EveryCommandIsBounded(t, limiting, []*rule.Rejection{ErrUnitLimit, ErrAmountLimit}, map[string]string{
		"Admit": "records", "RefuseAdmission": "records", "Approve": "adds nothing", "Decline": "ends", "Cancel": "ends", "Receive": "what is awaited",
		"RecordRefund": "what was received", "Close": "ends", "TakeOver": "adds nothing", "SettleStock": "records", "SettleOrders": "records", "WithdrawRefund": "takes away",
	})
}

package returns

import (
	"testing"

	"daybook/domain/unit"
)

// writing are rows about texts.
var writing = map[string]row{
	"a reason may have lines":                             {Given: given(), When: Decline{Reason: "worn\nout"}, Then: []Event{Declined{Reason: "worn\nout"}}},
	"a reason must have a visible character":              {Given: given(), When: Decline{Reason: "\u200b"}, Refused: ErrTextInvalid.With("", map[string]any{"field": "reason", "max_characters": 500})},
	"a country with a line break is refused":              {When: Request{ReturnID: "r", Currency: "GBP", Country: "a\nb", Lines: lines(1)}, Refused: ErrTextInvalid.With("", map[string]any{"field": "country", "max_characters": 100})},
	"the refusal of a title names its line":               {When: NoteCredit{ReturnID: "n", Currency: "GBP", Lines: []CreditLine{{SKU: "A", Quantity: 1, Price: pounds("1"), Title: "\u202e"}}}, Refused: ErrTextInvalid.With("", map[string]any{"field": "lines/0/title", "max_characters": 200})},
	"a bad title of the catalogue does not stop a return": {When: Request{ReturnID: "r", Currency: "GBP", Lines: []Line{{SKU: "A", Kind: unit.Stocked, Quantity: 1, Price: pounds("1"), Title: "\u202e"}}}, Then: []Event{Requested{ReturnID: "r", Currency: "GBP", Lines: []Line{{Number: 1, SKU: "A", Kind: unit.Stocked, Quantity: 1, Price: pounds("1"), Title: "\u202e"}}}}},
}

func TestTexts(t *testing.T) { backs.Run(t, writing) }

func TestEveryTextIsChecked(t *testing.T) {
	order := "what an order's refusal says"
	backs.EveryTextIsChecked(t, map[string]string{
		"RefuseAdmission.Code": order, "RefuseAdmission.Reason": order,
		"WithdrawRefund.Code": order, "WithdrawRefund.Reason": order,
		"Request.Lines.Title": "the order's, or the catalogue's",
	}, asking, admitting, receiving, refunding, sharing, withdrawing, takingOver, limiting, writing)
}

func TestComparedTextsSaySo(t *testing.T) {
	if n := backs.ComparedTextsSaySo(t, asking, admitting, receiving, refunding, sharing, withdrawing, takingOver, limiting, writing); n < 5 {
		t.Errorf("%d texts were changed", n)
	}
}

package order

import "testing"

// writing are cases of texts that a command may or may not have.
var writing = map[string]row{
	"a reason may have lines":                             {Given: given(), When: Hold{"call back:\n\t12 o'clock"}, Then: []Event{PutOnHold{"call back:\n\t12 o'clock"}}},
	"a reason must be visible":                            {Given: given(), When: Hold{"\u200b"}, Refused: facts(ErrTextInvalid, map[string]any{"field": "reason", "max_characters": 500})},
	"the reason of a charge must be visible":              {Given: given(), When: AddCharge{ChargeID: "x1", Kind: Surcharge, Amount: pounds("1"), Reason: "\u200b"}, Refused: facts(ErrTextInvalid, map[string]any{"field": "reason", "max_characters": 500})},
	"a one-line text has no line breaks":                  {Given: given(), When: RecordTransaction{TransactionID: "t", Type: Capture, State: Succeeded, Amount: pounds("1"), Provider: "a\nb"}, Refused: facts(ErrTextInvalid, map[string]any{"field": "provider", "max_characters": 100})},
	"a provider recorded by an older version is accepted": {Given: given(TransactionRecorded{TransactionID: "a", Type: Authorize, State: Succeeded, Amount: pounds("1"), Provider: "old\u202e"}), When: RecordTransaction{TransactionID: "v", Type: Void, State: Pending, Amount: pounds("1"), Parent: "a", Provider: "old\u202e"}, Then: []Event{TransactionRecorded{TransactionID: "v", Type: Void, State: Pending, Amount: pounds("1"), Parent: "a", Provider: "old\u202e"}}},
	"a hold recorded by an older version can be repeated": {Given: given(PutOnHold{" "}), When: Hold{" "}, Nothing: true},
}

func TestTexts(t *testing.T) { orders.Run(t, writing) }

func TestEveryTextIsChecked(t *testing.T) {
	passed := "what a process passes on"
	checkout := "the cart's: it was checked there, and refusing it would strand the stock"
	orders.EveryTextIsChecked(t, map[string]string{
		"Place.Reference": checkout, "Place.Country": checkout, "Place.Lines.SKUText": checkout, "Place.Lines.Title": checkout,
		"SettleStock.Ref": passed, "FailAllocation.Ref": passed, "FailAllocation.Shortages.Reason": passed,
		"RecordReturnRefund.Provider": "the return's", "RecordReturnRefund.Reference": "the return's",
	}, writing, placing, life, canceling, shipping, settling, paying, comingBack, takingOver, limiting, losing, goingBack, crediting, adding, undoing, straying)
}

func TestComparedTextsSaySo(t *testing.T) {
	if n := orders.ComparedTextsSaySo(t, writing, placing, life, canceling, shipping, settling, paying, comingBack, takingOver, limiting, losing, goingBack, crediting, adding, undoing, straying); n < 5 {
		t.Errorf("%d texts were changed", n)
	}
}

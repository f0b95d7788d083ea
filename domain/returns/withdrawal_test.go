package returns

import (
	"testing"

	"daybook/domain/unit"
)

// withdrawn takes back amount of a refund, because the order of the first share refused it.
func withdrawn(id unit.TransactionID, amount string, shares ...Share) RefundWithdrawn {
	return RefundWithdrawn{
		TransactionID: id, Amount: pounds(amount), Shares: shares,
		OrderID: shares[0].OrderID, Code: "transaction-differs", Reason: "Another one.",
	}
}

func withdraw(id unit.TransactionID, whole bool, refused ...unit.OrderID) WithdrawRefund {
	return WithdrawRefund{TransactionID: id, Refused: refused, Whole: whole, Code: "transaction-differs", Reason: "Another one."}
}

// ofBoth is a refund of 10. Two orders have shares of it, and 2.48 belongs to no order.
var ofBoth = shared("t", "10", Share{"o1", pounds("5.01")}, Share{"o2", pounds("2.51")})

var withdrawing = map[string]row{
	"a refund that no order recorded is taken back whole": {Given: mixed(ofBoth), When: withdraw("t", true, "o2", "o1"), Then: []Event{
		RefundWithdrawn{TransactionID: "t", Amount: pounds("10"), Shares: ofBoth.Shares, OrderID: "o2", Code: "transaction-differs", Reason: "Another one."},
	}},
	"a refund that one order recorded loses only the refused shares":          {Given: mixed(ofBoth), When: withdraw("t", false, "o2"), Then: []Event{withdrawn("t", "2.51", ofBoth.Shares[1])}},
	"taking a refund back again changes nothing":                              {Given: mixed(ofBoth, withdrawn("t", "2.51", ofBoth.Shares[1])), When: withdraw("t", false, "o2"), Nothing: true},
	"taking a refund back changes nothing after its shares were settled":      {Given: mixed(ofBoth, OrdersSettled{Step: StepRefund, Ref: "t"}), When: withdraw("t", true, "o1"), Nothing: true},
	"settling the shares of a refund changes nothing after it was taken back": {Given: mixed(ofBoth, withdrawn("t", "10", ofBoth.Shares...)), When: SettleOrders{Step: StepRefund, Ref: "t"}, Nothing: true},
	"a refusal by an order without a share changes nothing":                   {Given: mixed(ofBoth), When: withdraw("t", false, "o3"), Nothing: true},
	"a withdrawal leaves a refund that was recorded after another withdrawal": {Given: mixed(ofBoth, withdrawn("t", "10", ofBoth.Shares...), ofO1("t", "4")), When: withdraw("t", true, "o1"), Nothing: true},
	"a refund that was recorded after another withdrawal is taken back, too": {
		Given: mixed(ofBoth, withdrawn("t", "10", ofBoth.Shares...), ofO1("t", "4")),
		When:  WithdrawRefund{TransactionID: "t", Before: 1, Refused: []unit.OrderID{"o1"}, Whole: true, Code: "transaction-differs", Reason: "Another one."},
		Then:  []Event{withdrawn("t", "4", Share{"o1", pounds("4")})},
	},
	"taking an unknown refund back changes nothing":                                         {Given: mixed(ofBoth), When: withdraw("u", true, "o1"), Nothing: true},
	"the id of a refund that was taken back can be used again":                              {Given: mixed(ofBoth, withdrawn("t", "10", ofBoth.Shares...)), When: payBack(refund("t", "4")), Then: []Event{ofO1("t", "4")}},
	"recording the remaining part of a refund again changes nothing":                        {Given: mixed(ofBoth, withdrawn("t", "2.51", ofBoth.Shares[1])), When: payBack(refund("t", "7.49")), Nothing: true},
	"recording a refund again with its first amount is refused after a part was taken back": {Given: mixed(ofBoth, withdrawn("t", "2.51", ofBoth.Shares[1])), When: payBack(ofBoth), Refused: ErrRefundDiffers},
	"the next refund can have the share that was taken back":                                {Given: mixed(ofBoth, withdrawn("t", "5.01", ofBoth.Shares[0])), When: payBack(refund("u", "6")), Then: []Event{ofO1plus()}},
	"a return of services can be canceled after its refund was taken back": {
		Given: askedOf(Admitted{}, Approved{}, ofO1("t", "1"), withdrawn("t", "1", Share{"o1", pounds("1")})),
		When:  Cancel{}, Then: []Event{Canceled{}},
	},
}

// ofO1plus is a refund with the largest possible share of o1. The rest belongs to no order.
func ofO1plus() Refunded { return shared("u", "6", Share{"o1", pounds("5.01")}) }

func TestWithdrawing(t *testing.T) { backs.Run(t, withdrawing) }

func TestAWithdrawalChangesNoSharesThatOthersHold(t *testing.T) {
	event := shared("t", "10", ofBoth.Shares...)
	event.Shares = append([]Share(nil), ofBoth.Shares...)
	s := backs.Fold(mixed(event)...)
	clone := s.Clone()
	after := Evolve(s, withdrawn("t", "5.01", event.Shares[0]))
	if len(clone.Refunds) != 1 || len(clone.Refunds[0].Shares) != 2 || !clone.Refunded().Equal(pounds("10")) || event.Shares[0].OrderID != "o1" {
		t.Errorf("clone %+v, event %+v", clone.Refunds, event)
	}
	if !after.Refunded().Equal(pounds("4.99")) || len(after.Refunds[0].Shares) != 1 || len(after.Withdrawn) != 1 || !after.Withdrawn[0].Of.Equal(pounds("10")) {
		t.Errorf("after %+v, withdrawn %+v", after.Refunds, after.Withdrawn)
	}
}

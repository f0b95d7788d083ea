package order

import (
	"testing"

	"daybook/domain/decidertest"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

const nearlyAll = "999999999999999999.99"

// limiting has two rows for each command that adds to a sum: the largest command that fits, and the
// smallest one that does not.
var limiting = map[string]row{
	"captures can add up to the largest amount":                                  {Given: given(tx("c", Capture, Succeeded, "900000000000000000", "")), When: pay(tx("d", Capture, Pending, "99999999999999999.99", "")), Then: []Event{tx("d", Capture, Pending, "99999999999999999.99", "")}},
	"captures cannot add up to more than the largest amount":                     {Given: given(tx("c", Capture, Pending, "900000000000000000", "")), When: pay(tx("d", Capture, Succeeded, "100000000000000000", "")), Refused: facts(ErrAmountLimit, map[string]any{"transaction_type": "capture", "before": pounds("900000000000000000"), "amount": pounds("100000000000000000")})},
	"authorizations cannot add up to more than the largest amount":               {Given: given(tx("a", Authorize, Succeeded, nearlyAll, "")), When: pay(tx("b", Authorize, Succeeded, "0.01", "")), Refused: ErrAmountLimit},
	"failed transactions do not count for the limit":                             {Given: given(tx("a", Authorize, Failed, nearlyAll, "")), When: pay(tx("b", Authorize, Succeeded, "0.01", "")), Then: []Event{tx("b", Authorize, Succeeded, "0.01", "")}},
	"a charge cannot raise the total above the largest amount":                   {Given: given(), When: charging("90071992547409.91"), Refused: ErrAmountLimit},
	"a pending transaction at the limit can be settled":                          {Given: given(tx("c", Capture, Pending, nearlyAll, "")), When: SettleTransaction{TransactionID: "c", State: Succeeded}, Then: []Event{TransactionSettled{TransactionID: "c", State: Succeeded}}},
	"a pending transaction that exceeds the limit with others cannot be settled": {Given: given(tx("c", Capture, Pending, nearlyAll, ""), tx("d", Capture, Succeeded, nearlyAll, "")), When: SettleTransaction{TransactionID: "c", State: Succeeded}, Refused: ErrAmountLimit},
}

// losing are cases in which stock does not have the promised units any more. The order has 4 of A
// at main and 1 of B at east.
var losing = map[string]row{
	"lost units are asked for again":                             {Given: binding(), When: RetryAllocation{Lost: []Lost{{"B", "east", 1}}}, Then: []Event{AllocationRetried{Attempt: 1, Lost: []Lost{{"B", "east", 1}}}}},
	"no more lost units are asked for than the order counts on":  {Given: binding(), When: RetryAllocation{Lost: []Lost{{"B", "east", 9}, {"Z", "main", 1}}}, Then: []Event{AllocationRetried{Attempt: 1, Lost: []Lost{{"B", "east", 1}}}}},
	"lost units that the order does not count on change nothing": {Given: binding(), When: RetryAllocation{Lost: []Lost{{"Z", "main", 1}}}, Nothing: true},
	"lost units change nothing while a step is open":             {Given: given(Confirmed{}), When: RetryAllocation{Lost: []Lost{{"B", "east", 1}}}, Nothing: true},
	"lost units do not ship":                                     {Given: append(binding(), lostB, AllocationFailed{Shortages: shortOfB.Shortages, Remedy: RemedyBackorder}), When: Ship{ShipmentID: "p1", Location: "east", Lines: []LineQuantity{{2, 1}}}, Refused: ErrAllocationFailed},
	"the other units of an order with lost units can ship":       {Given: append(binding(), lostB, AllocationFailed{Shortages: shortOfB.Shortages, Remedy: RemedyBackorder}), When: Ship{ShipmentID: "p1", Location: "main", Lines: []LineQuantity{{1, 1}}}, Then: []Event{Shipped{ShipmentID: "p1", Location: "main", Lines: []ShippedLine{{1, "A", unit.Stocked, 1}}}}},
}

var lostB = AllocationRetried{Attempt: 1, Lost: []Lost{{"B", "east", 1}}}

func TestLostPromises(t *testing.T) { orders.Run(t, losing) }

func TestSumsHaveLimits(t *testing.T) { orders.Run(t, limiting) }

func TestEveryCommandIsBounded(t *testing.T) {
	decidertest.EveryCommandIsBounded(t, limiting, []*rule.Rejection{ErrAmountLimit}, map[string]string{
		"Claim": "holds no sums", "Place": "what the cart came to; it is never refused for its sums", "Confirm": "adds nothing", "Hold": "adds nothing", "ReleaseHold": "adds nothing",
		"CancelLines": "what is open of a line", "Cancel": "takes away", "Expire": "takes away", "Ship": "what is open of a line", "Deliver": "what was shipped", "ReportParcel": "records", "TakeParcelBack": "what was shipped", "ResendParcel": "what was shipped", "CreditParcel": "what was shipped",
		"Complete": "ends", "SettleStock": "records", "FailAllocation": "records", "RetryAllocation": "what is open of a line", "RecoverAllocation": "records",
		"AdmitReturn": "what was shipped", "ReleaseReturn": "takes away", "RecordReturnRefund": "the return's own limit", "TakeOver": "adds nothing", "RefuseReturnRefund": "records",
		"RequestRefund": "what was captured", "SubmitRefund": "records", "SettleRefund": "what was requested", "ExplainRefund": "records",
		"Credit": "what is owed", "SettleGiftCard": "what was charged", "WriteOff": "what was captured and what is owed", "Extend": "the shop's latest deadline", "Archive": "a flag", "Unarchive": "a flag",
	})
}

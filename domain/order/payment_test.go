package order

import (
	"testing"

	"daybook/domain/unit"
)

// tx is the event that records a transaction, and pay is the command that asks for it.
func tx(id unit.TransactionID, typ TransactionType, state TransactionState, amount string, parent unit.TransactionID) TransactionRecorded {
	return TransactionRecorded{TransactionID: id, Type: typ, State: state, Amount: pounds(amount), Parent: parent}
}

func pay(e TransactionRecorded) RecordTransaction {
	return RecordTransaction{
		TransactionID: e.TransactionID, Type: e.Type, State: e.State, Amount: e.Amount, Parent: e.Parent,
		Provider: e.Provider, Reference: e.Reference,
	}
}

var (
	authorized    = tx("a", Authorize, Succeeded, "17.47", "")
	capturedOfIt  = tx("c", Capture, Succeeded, "17.47", "a")
	pendingRefund = tx("r", Refund, Pending, "10", "c")
	euros         = RecordTransaction{TransactionID: "e", Type: Capture, State: Succeeded, Amount: unit.Money{Amount: pounds("1").Amount, Currency: "EUR"}}
)

func orphan(id unit.TransactionID, amount string) Event {
	return PaymentOrphaned{TransactionID: id, Amount: pounds(amount), Remedy: RemedyVoidOrRefund}
}

var paying = map[string]row{
	"what a provider reports is recorded":                     {Given: given(), When: pay(authorized), Then: []Event{authorized}},
	"twice the same is once":                                  {Given: given(authorized), When: pay(authorized), Nothing: true},
	"another under the id is refused":                         {Given: given(authorized), When: pay(tx("a", Authorize, Succeeded, "17.46", "")), Refused: ErrTransactionDiffers},
	"a pending one recorded again, after its end":             {Given: given(tx("a", Authorize, Pending, "5", ""), TransactionSettled{TransactionID: "a", State: Succeeded}), When: pay(tx("a", Authorize, Pending, "5", "")), Nothing: true},
	"or with its end":                                         {Given: given(tx("a", Authorize, Pending, "5", ""), TransactionSettled{TransactionID: "a", State: Succeeded}), When: pay(tx("a", Authorize, Succeeded, "5", "")), Nothing: true},
	"but not with an end it has not had":                      {Given: given(tx("a", Authorize, Pending, "5", "")), When: pay(tx("a", Authorize, Succeeded, "5", "")), Refused: ErrTransactionDiffers},
	"another currency is refused":                             {Given: given(), When: euros, Refused: ErrCurrencyDiffers},
	"no money is refused":                                     {Given: given(), When: pay(tx("a", Capture, Succeeded, "0", "")), Refused: ErrAmountInvalid},
	"an unheard-of type is refused":                           {Given: given(), When: pay(tx("a", "gift", Succeeded, "1", "")), Refused: ErrTransactionInvalid},
	"an unknown parent is refused":                            {Given: given(), When: pay(capturedOfIt), Refused: ErrTransactionUnknown},
	"a capture is not of a capture":                           {Given: given(captured("5")), When: pay(tx("c", Capture, Succeeded, "5", "cap")), Refused: ErrParentMismatch},
	"nor of what failed":                                      {Given: given(tx("a", Authorize, Failed, "5", "")), When: pay(tx("c", Capture, Succeeded, "5", "a")), Refused: ErrParentMismatch},
	"a refund is not of an authorization":                     {Given: given(authorized, capturedOfIt), When: pay(tx("r", Refund, Succeeded, "5", "a")), Refused: ErrParentMismatch},
	"more than authorized can be captured":                    {Given: given(authorized), When: pay(tx("c", Capture, Succeeded, "20", "a")), Then: []Event{tx("c", Capture, Succeeded, "20", "a")}},
	"a capture may be reported before its authorization ends": {Given: given(tx("a", Authorize, Pending, "5", "")), When: pay(tx("c", Capture, Succeeded, "5", "a")), Then: []Event{tx("c", Capture, Succeeded, "5", "a")}},
	"an authorization can be voided":                          {Given: given(authorized), When: pay(tx("v", Void, Succeeded, "17.47", "a")), Then: []Event{tx("v", Void, Succeeded, "17.47", "a")}},
	"not of a captured authorization":                         {Given: given(authorized, tx("c", Capture, Succeeded, "10", "a")), When: pay(tx("v", Void, Succeeded, "7.48", "a")), Refused: facts(ErrAmountExceeded, map[string]any{"limit": pounds("7.47"), "requested": pounds("7.48")})},
	"nor twice":                                               {Given: given(authorized, tx("v", Void, Pending, "17.47", "a")), When: pay(tx("w", Void, Pending, "0.01", "a")), Refused: ErrAmountExceeded},
	"nor without saying of what":                              {Given: given(authorized, tx("v", Void, Pending, "17.47", "a")), When: pay(tx("w", Void, Pending, "0.01", "")), Refused: ErrAmountExceeded},
	"a void that failed frees it":                             {Given: given(authorized, tx("v", Void, Failed, "17.47", "a")), When: pay(tx("w", Void, Pending, "17.47", "a")), Then: []Event{tx("w", Void, Pending, "17.47", "a")}},
	"money that came can go back":                             {Given: given(captured("17.47")), When: pay(tx("r", Refund, Pending, "17.47", "cap")), Then: []Event{tx("r", Refund, Pending, "17.47", "cap")}},
	"not more of it":                                          {Given: given(captured("17.47")), When: pay(tx("r", Refund, Succeeded, "17.48", "")), Refused: ErrAmountExceeded},
	"nor of one capture more than it was":                     {Given: given(captured("10"), tx("c2", Capture, Succeeded, "7.47", "")), When: pay(tx("r", Refund, Succeeded, "10.01", "cap")), Refused: ErrAmountExceeded},
	"a refund under way counts":                               {Given: given(authorized, capturedOfIt, pendingRefund), When: pay(tx("r2", Refund, Pending, "7.48", "")), Refused: ErrAmountExceeded},
	"nothing came, nothing goes back":                         {Given: given(tx("c", Capture, Pending, "5", "")), When: pay(tx("r", Refund, Pending, "5", "")), Refused: facts(ErrAmountExceeded, map[string]any{"limit": pounds("0"), "requested": pounds("5")})},
	"a bank may charge back a refunded amount":                {Given: given(captured("5"), tx("r", Refund, Succeeded, "5", "cap")), When: pay(tx("b", Chargeback, Succeeded, "5", "cap")), Then: []Event{tx("b", Chargeback, Succeeded, "5", "cap")}},
	"but not more than came":                                  {Given: given(captured("5")), When: pay(tx("b", Chargeback, Succeeded, "5.01", "")), Refused: ErrAmountExceeded},
	"a failed transaction may be anything":                    {Given: given(), When: pay(tx("r", Refund, Failed, "5", "")), Then: []Event{tx("r", Refund, Failed, "5", "")}},

	"a pending transaction has its end":            {Given: given(authorized, capturedOfIt, pendingRefund), When: SettleTransaction{TransactionID: "r", State: Succeeded, Reference: "x"}, Then: []Event{TransactionSettled{TransactionID: "r", State: Succeeded, Reference: "x"}}},
	"the same end again is nothing":                {Given: given(authorized, capturedOfIt, pendingRefund, TransactionSettled{TransactionID: "r", State: Failed}), When: SettleTransaction{TransactionID: "r", State: Failed}, Nothing: true},
	"the other is refused":                         {Given: given(authorized, capturedOfIt, pendingRefund, TransactionSettled{TransactionID: "r", State: Failed}), When: SettleTransaction{TransactionID: "r", State: Succeeded}, Refused: ErrTransactionSettled},
	"pending is no end":                            {Given: given(authorized, capturedOfIt, pendingRefund), When: SettleTransaction{TransactionID: "r", State: Pending}, Refused: ErrTransactionInvalid},
	"an unknown transaction has none":              {Given: given(), When: SettleTransaction{TransactionID: "r", State: Failed}, Refused: ErrTransactionUnknown},
	"a void overtaken by a capture cannot succeed": {Given: given(authorized, tx("v", Void, Pending, "17.47", "a"), capturedOfIt), When: SettleTransaction{TransactionID: "v", State: Succeeded}, Refused: ErrAmountExceeded},

	"money for an expired order is owed back":           {Given: given(Expired{}), When: pay(captured("17.47").(TransactionRecorded)), Then: []Event{captured("17.47"), orphan("cap", "17.47")}},
	"also when it was under way":                        {Given: given(tx("c", Capture, Pending, "5", ""), Expired{}), When: SettleTransaction{TransactionID: "c", State: Succeeded}, Then: []Event{TransactionSettled{TransactionID: "c", State: Succeeded}, orphan("c", "5")}},
	"an authorization is to be voided":                  {Given: given(Canceled{}), When: pay(authorized), Then: []Event{authorized, orphan("a", "17.47")}},
	"a capture of it is owed back as itself":            {Given: given(authorized, Canceled{}), When: pay(capturedOfIt), Then: []Event{capturedOfIt, orphan("c", "17.47")}},
	"a capture that failed is not":                      {Given: given(tx("c", Capture, Pending, "5", ""), Expired{}), When: SettleTransaction{TransactionID: "c", State: Failed}, Then: []Event{TransactionSettled{TransactionID: "c", State: Failed}}},
	"what shipped before a cancel is still to be paid":  {Given: binding(eastParcel, Canceled{}), When: pay(tx("c", Capture, Succeeded, "1.01", "")), Then: []Event{tx("c", Capture, Succeeded, "1.01", "")}},
	"only the excess is owed back":                      {Given: binding(eastParcel, Canceled{}), When: pay(tx("c", Capture, Succeeded, "5", "")), Then: []Event{tx("c", Capture, Succeeded, "5", ""), orphan("c", "3.99")}},
	"goods paid back do not make it less":               {Given: binding(eastParcel, captured("1.01"), Canceled{}, paidBackOf("1.01")), When: pay(tx("c", Capture, Succeeded, "5", "")), Then: []Event{tx("c", Capture, Succeeded, "5", ""), orphan("c", "5")}},
	"a refund of an expired order is none of these":     {Given: given(captured("5"), Expired{}), When: pay(tx("r", Refund, Succeeded, "5", "cap")), Then: []Event{tx("r", Refund, Succeeded, "5", "cap")}},
	"money for a standing order is not owed back":       {Given: given(), When: pay(tx("c", Capture, Succeeded, "99", "")), Then: []Event{tx("c", Capture, Succeeded, "99", "")}},
	"a failed authorization of a canceled order is not": {Given: given(Canceled{}), When: pay(tx("a", Authorize, Failed, "5", "")), Then: []Event{tx("a", Authorize, Failed, "5", "")}},
}

func TestPaymentStateIsDerived(t *testing.T) {
	canceledA := LinesCanceled{Lines: []LineQuantity{{1, 3}}} // 7.50 off: 9.97 owed
	for name, c := range map[string]struct {
		events []Event
		want   PaymentState
	}{
		"nothing came":                               {given(), Unpaid},
		"pending is nothing yet":                     {given(tx("c", Capture, Pending, "17.47", "")), Unpaid},
		"failed is nothing":                          {given(tx("c", Capture, Failed, "17.47", "")), Unpaid},
		"authorized":                                 {given(authorized), PaymentAuthorized},
		"authorized in part":                         {given(tx("a", Authorize, Succeeded, "17.46", "")), PartiallyAuthorized},
		"voided":                                     {given(authorized, tx("v", Void, Succeeded, "17.47", "a")), Voided},
		"voided in part":                             {given(authorized, tx("v", Void, Succeeded, "1", "a")), PartiallyAuthorized},
		"paid in part":                               {given(captured("17.46")), PartiallyPaid},
		"paid":                                       {given(captured("17.47")), Paid},
		"paid in two":                                {given(captured("10"), tx("c2", Capture, Succeeded, "7.47", "")), Paid},
		"paid too much":                              {given(captured("17.48")), Overcharged},
		"though goods were paid back":                {given(captured("17.47"), canceledA, paidBackOf("7.50")), Overcharged},
		"until that is given back, too":              {given(captured("17.47"), canceledA, paidBackOf("7.50"), tx("r", Refund, Succeeded, "7.50", "")), PartiallyRefunded},
		"or nothing is left":                         {given(captured("17.47"), canceledA, paidBackOf("7.50"), tx("r", Refund, Succeeded, "9.97", "")), Refunded},
		"a cancel makes it too much":                 {given(captured("17.47"), canceledA), Overcharged},
		"until the rest is given back":               {given(captured("17.47"), canceledA, tx("r", Refund, Succeeded, "7.50", "")), PartiallyRefunded},
		"a cancel can make it enough":                {given(captured("9.97"), canceledA), Paid},
		"a refund under way is not yet":              {given(captured("17.47"), tx("r", Refund, Pending, "17.47", "")), Paid},
		"given back in part":                         {given(captured("17.47"), tx("r", Refund, Succeeded, "1", "")), PartiallyRefunded},
		"given back":                                 {given(captured("17.47"), tx("r", Refund, Succeeded, "17.47", "")), Refunded},
		"charged back":                               {given(captured("17.47"), tx("r", Chargeback, Succeeded, "17.47", "")), Refunded},
		"paid in part, some given back":              {given(captured("10"), tx("r", Refund, Succeeded, "1", "")), PartiallyPaid},
		"canceled unpaid":                            {given(Canceled{}), Unpaid},
		"canceled paid":                              {given(captured("17.47"), Canceled{}), Overcharged},
		"canceled and given back":                    {given(captured("17.47"), Canceled{}, tx("r", Refund, Succeeded, "17.47", "")), Refunded},
		"a free order is paid":                       {[]Event{free()}, Paid},
		"unless it expired":                          {[]Event{free(), Expired{}}, Unpaid},
		"a discount beyond the goods' worth is paid": {[]Event{discounted()}, Paid},
		"a third of a penny is owed as no penny":     {[]Event{priced("0.001", 3)}, Paid},
		"half a penny is owed as one":                {[]Event{priced("0.001", 5)}, Unpaid},
	} {
		if got := orders.Fold(c.events...).PaymentState(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func priced(price string, quantity unit.Quantity) Placed {
	e := halfPennyPlaced()
	line := halfPenny()[0]
	line.Price, line.Quantity = pounds(price), quantity
	e.Lines[0] = line
	e.Total = line.Total()
	e.Charge = e.Total.Charge()
	return e
}

func free() Placed       { return priced("0", 1) }
func discounted() Placed { return priced("-5", 1) }

func TestFulfillmentStateIsDerived(t *testing.T) {
	for name, c := range map[string]struct {
		events []Event
		want   FulfillmentState
	}{
		"nothing left":                      {binding(), Unfulfilled},
		"one parcel left":                   {binding(eastParcel), PartiallyFulfilled},
		"all left":                          {shippedAll(), Fulfilled},
		"one arrived":                       {shippedAll(Delivered{ShipmentID: "p2"}), PartiallyDelivered},
		"all arrived":                       {shippedAll(Delivered{ShipmentID: "p1"}, Delivered{ShipmentID: "p2"}), Arrived},
		"the rest was canceled":             {binding(eastParcel, Canceled{}), Fulfilled},
		"and what left arrived":             {binding(eastParcel, Canceled{}, Delivered{ShipmentID: "p2"}), Arrived},
		"canceled before anything left":     {binding(Canceled{}), NotRequired},
		"services only":                     {[]Event{onlyPostage()}, NotRequired},
		"stock was lost":                    {given(Confirmed{}, shortOfB), Backordered},
		"also when the rest left":           {given(Confirmed{}, shortOfB, wholeParcel), Backordered},
		"stock was found":                   {given(Confirmed{}, shortOfB, AllocationRetried{Attempt: 1}, AllocationRecovered{}), Unfulfilled},
		"the lost units were canceled":      {given(Confirmed{}, shortOfB, LinesCanceled{Lines: []LineQuantity{{2, 1}}}), Unfulfilled},
		"a service unshipped is no matter ": {binding(LinesCanceled{Lines: []LineQuantity{{1, 3}, {2, 3}, {4, 1}}}, eastParcel), Fulfilled},
	} {
		if got := orders.Fold(c.events...).FulfillmentState(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

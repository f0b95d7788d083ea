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

// within is the command of a sender who may give back 10.00 in all.
func within(cmd RecordTransaction) RecordTransaction {
	limit := pounds("10")
	cmd.Limit = &limit
	return cmd
}

var (
	authorized    = tx("a", Authorize, Succeeded, "17.47", "")
	capturedOfIt  = tx("c", Capture, Succeeded, "17.47", "a")
	pendingRefund = tx("r", Refund, Pending, "10", "c")
	euros         = RecordTransaction{TransactionID: "e", Type: Capture, State: Succeeded, Amount: unit.Money{Amount: pounds("1").Amount, Currency: "EUR"}}
)

// refundOfEnd is the refund that an order's end leads to, or money that comes after it.
func refundOfEnd(cause RefundCause, of, payment unit.TransactionID, amount string) Event {
	return RefundRequested{
		RefundID: unit.RefundID(unit.EndRefund.Of("o1", string(cause), string(of)).ID()), Purpose: Settlement, Cause: cause, Amount: pounds(amount),
		Parts: []RefundPart{{PartID: RemedyTransactionID("o1", payment), Payment: payment, Amount: pounds(amount)}},
	}
}

func unexplained(e TransactionRecorded, amount string) Event {
	e.Unexplained = amountOf(amount)
	return e
}

func compensated(amount string) Event {
	e := tx("k", Refund, Succeeded, amount, "cap")
	e.Purpose = Compensation
	return e
}

func orphan(id unit.TransactionID, amount string) Event {
	return PaymentOrphaned{TransactionID: id, Amount: pounds(amount), Remedy: RemedyVoidOrRefund}
}

var paying = map[string]row{
	"a transaction is recorded as the provider reports it":                                      {Given: given(), When: pay(authorized), Then: []Event{authorized}},
	"recording a transaction again changes nothing":                                             {Given: given(authorized), When: pay(authorized), Nothing: true},
	"a transaction with a used id and another amount is refused":                                {Given: given(authorized), When: pay(tx("a", Authorize, Succeeded, "17.46", "")), Refused: ErrTransactionDiffers},
	"recording a transaction again as pending changes nothing after it has succeeded":           {Given: given(tx("a", Authorize, Pending, "5", ""), TransactionSettled{TransactionID: "a", State: Succeeded}), When: pay(tx("a", Authorize, Pending, "5", "")), Nothing: true},
	"recording a pending transaction again as succeeded changes nothing after it has succeeded": {Given: given(tx("a", Authorize, Pending, "5", ""), TransactionSettled{TransactionID: "a", State: Succeeded}), When: pay(tx("a", Authorize, Succeeded, "5", "")), Nothing: true},
	"recording a pending transaction again as succeeded is refused before it was settled":       {Given: given(tx("a", Authorize, Pending, "5", "")), When: pay(tx("a", Authorize, Succeeded, "5", "")), Refused: ErrTransactionDiffers},
	"a transaction in another currency is refused":                                              {Given: given(), When: euros, Refused: ErrCurrencyDiffers},
	"a transaction of zero is refused":                                                          {Given: given(), When: pay(tx("a", Capture, Succeeded, "0", "")), Refused: ErrAmountInvalid},
	"a transaction finer than its currency is refused":                                          {Given: given(), When: pay(tx("a", Capture, Succeeded, "7.499999", "")), Refused: ErrAmountTooFine},
	"what an old capture has left can be given back, however fine":                              {Given: given(captured("7.499")), When: pay(tx("r", Refund, Succeeded, "7.499", "cap")), Then: []Event{unexplained(tx("r", Refund, Succeeded, "7.499", "cap"), "7.499")}},
	"a transaction of an unknown type is refused":                                               {Given: given(), When: pay(tx("a", "gift", Succeeded, "1", "")), Refused: ErrTransactionInvalid},
	"a transaction with an unknown parent is refused":                                           {Given: given(), When: pay(capturedOfIt), Refused: ErrTransactionUnknown},
	"a capture cannot have a capture as its parent":                                             {Given: given(captured("5")), When: pay(tx("c", Capture, Succeeded, "5", "cap")), Refused: ErrParentMismatch},
	"a failed transaction cannot be a parent":                                                   {Given: given(tx("a", Authorize, Failed, "5", "")), When: pay(tx("c", Capture, Succeeded, "5", "a")), Refused: ErrParentMismatch},
	"a refund cannot have an authorization as its parent":                                       {Given: given(authorized, capturedOfIt), When: pay(tx("r", Refund, Succeeded, "5", "a")), Refused: ErrParentMismatch},
	"a capture can be more than its authorization":                                              {Given: given(authorized), When: pay(tx("c", Capture, Succeeded, "20", "a")), Then: []Event{tx("c", Capture, Succeeded, "20", "a")}},
	"a capture can be recorded while its authorization is pending":                              {Given: given(tx("a", Authorize, Pending, "5", "")), When: pay(tx("c", Capture, Succeeded, "5", "a")), Then: []Event{tx("c", Capture, Succeeded, "5", "a")}},
	"an authorization can be voided":                                                            {Given: given(authorized), When: pay(tx("v", Void, Succeeded, "17.47", "a")), Then: []Event{tx("v", Void, Succeeded, "17.47", "a")}},
	"the captured part of an authorization cannot be voided":                                    {Given: given(authorized, tx("c", Capture, Succeeded, "10", "a")), When: pay(tx("v", Void, Succeeded, "7.48", "a")), Refused: facts(ErrAmountExceeded, map[string]any{"limit": pounds("7.47"), "requested": pounds("7.48")})},
	"an authorization cannot be voided twice":                                                   {Given: given(authorized, tx("v", Void, Pending, "17.47", "a")), When: pay(tx("w", Void, Pending, "0.01", "a")), Refused: ErrAmountExceeded},
	"a void without a parent cannot exceed what is left to void":                                {Given: given(authorized, tx("v", Void, Pending, "17.47", "a")), When: pay(tx("w", Void, Pending, "0.01", "")), Refused: ErrAmountExceeded},
	"an authorization can be voided after a void has failed":                                    {Given: given(authorized, tx("v", Void, Failed, "17.47", "a")), When: pay(tx("w", Void, Pending, "17.47", "a")), Then: []Event{tx("w", Void, Pending, "17.47", "a")}},
	"a captured amount can be refunded":                                                         {Given: given(captured("17.47")), When: pay(tx("r", Refund, Pending, "17.47", "cap")), Then: []Event{unexplained(tx("r", Refund, Pending, "17.47", "cap"), "17.47")}},
	"more than was captured cannot be refunded":                                                 {Given: given(captured("17.47")), When: pay(tx("r", Refund, Succeeded, "17.48", "")), Refused: ErrAmountExceeded},
	"more than one capture's amount cannot be refunded from it":                                 {Given: given(captured("10"), tx("c2", Capture, Succeeded, "7.47", "")), When: pay(tx("r", Refund, Succeeded, "10.01", "cap")), Refused: ErrAmountExceeded},
	"a pending refund counts against the next one":                                              {Given: given(authorized, capturedOfIt, pendingRefund), When: pay(tx("r2", Refund, Pending, "7.48", "")), Refused: ErrAmountExceeded},
	"a pending capture cannot be refunded":                                                      {Given: given(tx("c", Capture, Pending, "5", "")), When: pay(tx("r", Refund, Pending, "5", "")), Refused: facts(ErrAmountExceeded, map[string]any{"limit": pounds("0"), "requested": pounds("5")})},
	"a bank may charge back a refunded amount":                                                  {Given: given(captured("5"), tx("r", Refund, Succeeded, "5", "cap")), When: pay(tx("b", Chargeback, Succeeded, "5", "cap")), Then: []Event{tx("b", Chargeback, Succeeded, "5", "cap")}},
	"more than was captured cannot be charged back":                                             {Given: given(captured("5")), When: pay(tx("b", Chargeback, Succeeded, "5.01", "")), Refused: ErrAmountExceeded},
	"a failed refund is recorded although nothing was captured":                                 {Given: given(), When: pay(tx("r", Refund, Failed, "5", "")), Then: []Event{tx("r", Refund, Failed, "5", "")}},

	"a sender with a limit gives back as much as the limit":       {Given: given(captured("17.47"), tx("q", Refund, Pending, "4", "")), When: within(pay(tx("r", Refund, Succeeded, "6", ""))), Then: []Event{unexplained(tx("r", Refund, Succeeded, "6", ""), "6")}},
	"a refund above the limit of its sender is refused":           {Given: given(captured("17.47"), tx("q", Refund, Pending, "4", "")), When: within(pay(tx("r", Refund, Succeeded, "6.01", ""))), Refused: facts(ErrRefundLimit, map[string]any{"limit": pounds("10"), "given_back": pounds("4"), "requested": pounds("6.01")})},
	"a chargeback counts against the limit":                       {Given: given(captured("17.47"), tx("b", Chargeback, Succeeded, "10", "")), When: within(pay(tx("r", Refund, Pending, "0.01", ""))), Refused: ErrRefundLimit},
	"a chargeback above the limit of its sender is refused":       {Given: given(captured("17.47")), When: within(pay(tx("b", Chargeback, Succeeded, "10.01", ""))), Refused: ErrRefundLimit},
	"a failed refund does not count against the limit":            {Given: given(captured("17.47"), tx("q", Refund, Failed, "10", "")), When: within(pay(tx("r", Refund, Failed, "17", ""))), Then: []Event{tx("r", Refund, Failed, "17", "")}},
	"a capture has no limit for refunds":                          {Given: given(), When: within(pay(tx("c", Capture, Succeeded, "17", ""))), Then: []Event{tx("c", Capture, Succeeded, "17", "")}},
	"a refund that is recorded is repeated in spite of the limit": {Given: given(captured("17.47"), tx("r", Refund, Succeeded, "12", "")), When: within(pay(tx("r", Refund, Succeeded, "12", ""))), Nothing: true},

	"a pending transaction can be settled":                               {Given: given(authorized, capturedOfIt, pendingRefund), When: SettleTransaction{TransactionID: "r", State: Succeeded, Reference: "x"}, Then: []Event{TransactionSettled{TransactionID: "r", State: Succeeded, Reference: "x"}}},
	"settling a transaction again in the same state changes nothing":     {Given: given(authorized, capturedOfIt, pendingRefund, TransactionSettled{TransactionID: "r", State: Failed}), When: SettleTransaction{TransactionID: "r", State: Failed}, Nothing: true},
	"settling a transaction again in the other state is refused":         {Given: given(authorized, capturedOfIt, pendingRefund, TransactionSettled{TransactionID: "r", State: Failed}), When: SettleTransaction{TransactionID: "r", State: Succeeded}, Refused: ErrTransactionSettled},
	"a transaction cannot be settled as pending":                         {Given: given(authorized, capturedOfIt, pendingRefund), When: SettleTransaction{TransactionID: "r", State: Pending}, Refused: ErrTransactionInvalid},
	"an unknown transaction cannot be settled":                           {Given: given(), When: SettleTransaction{TransactionID: "r", State: Failed}, Refused: ErrTransactionUnknown},
	"a pending void cannot succeed after its authorization was captured": {Given: given(authorized, tx("v", Void, Pending, "17.47", "a"), capturedOfIt), When: SettleTransaction{TransactionID: "v", State: Succeeded}, Refused: ErrAmountExceeded},

	"a capture for an expired order is owed back":                                   {Given: given(Expired{}), When: pay(captured("17.47").(TransactionRecorded)), Then: []Event{captured("17.47"), orphan("cap", "17.47"), refundOfEnd(RefundOfLateMoney, "cap", "cap", "17.47")}},
	"a capture that was pending when the order expired is owed back":                {Given: given(tx("c", Capture, Pending, "5", ""), Expired{}), When: SettleTransaction{TransactionID: "c", State: Succeeded}, Then: []Event{TransactionSettled{TransactionID: "c", State: Succeeded}, orphan("c", "5"), refundOfEnd(RefundOfLateMoney, "c", "c", "5")}},
	"an authorization for a canceled order is owed back":                            {Given: given(Canceled{}), When: pay(authorized), Then: []Event{authorized, orphan("a", "17.47")}},
	"a capture of an earlier authorization is owed back after a cancel":             {Given: given(authorized, Canceled{}), When: pay(capturedOfIt), Then: []Event{capturedOfIt, orphan("c", "17.47"), refundOfEnd(RefundOfLateMoney, "c", "c", "17.47")}},
	"a capture that fails after the expiry is not owed back":                        {Given: given(tx("c", Capture, Pending, "5", ""), Expired{}), When: SettleTransaction{TransactionID: "c", State: Failed}, Then: []Event{TransactionSettled{TransactionID: "c", State: Failed}}},
	"a capture for goods that shipped before a cancel is not owed back":             {Given: binding(eastParcel, Canceled{}), When: pay(tx("c", Capture, Succeeded, "1.01", "")), Then: []Event{tx("c", Capture, Succeeded, "1.01", "")}},
	"of a capture after a cancel, only what exceeds the shipped goods is owed back": {Given: binding(eastParcel, Canceled{}), When: pay(tx("c", Capture, Succeeded, "5", "")), Then: []Event{tx("c", Capture, Succeeded, "5", ""), orphan("c", "3.99"), refundOfEnd(RefundOfLateMoney, "c", "c", "3.99")}},
	"no more goes back than has come in, whatever was given back elsewhere":         {Given: given(captured("17.47"), RefundRequested{RefundID: "r", Purpose: Compensation, Cause: RefundAsked, Amount: pounds("4"), Parts: []RefundPart{{PartID: "p", Payment: "cap", Amount: pounds("4")}}}, tx("there", Refund, Succeeded, "17.47", "cap"), Canceled{}), When: pay(tx("c", Capture, Succeeded, "10", "")), Then: []Event{tx("c", Capture, Succeeded, "10", ""), orphan("c", "10"), refundOfEnd(RefundOfLateMoney, "c", "c", "6")}},
	"a refund for returned goods does not reduce what is owed back":                 {Given: binding(eastParcel, captured("1.01"), Canceled{}, paidBackOf("1.01")), When: pay(tx("c", Capture, Succeeded, "5", "")), Then: []Event{tx("c", Capture, Succeeded, "5", ""), orphan("c", "5"), refundOfEnd(RefundOfLateMoney, "c", "c", "5")}},
	"a refund of an expired order is not owed back":                                 {Given: given(captured("5"), Expired{}), When: pay(tx("r", Refund, Succeeded, "5", "cap")), Then: []Event{tx("r", Refund, Succeeded, "5", "cap")}},
	"a capture for a pending order is not owed back":                                {Given: given(), When: pay(tx("c", Capture, Succeeded, "99", "")), Then: []Event{tx("c", Capture, Succeeded, "99", "")}},
	"a paid order is confirmed at its deadline":                                     {Given: given(captured("17.47")), When: Expire{Now: later}, Then: []Event{Confirmed{Because: CoveredByCapture}}},
	"not before":                                                   {Given: given(captured("17.47")), When: Expire{Now: later.Add(-1)}, Nothing: true},
	"so is one whose payment was authorized":                       {Given: given(authorized), When: Expire{Now: later}, Then: []Event{Confirmed{Because: CoveredByAuthorization}}},
	"also by a capture and an authorization together":              {Given: given(authorized, tx("c", Capture, Succeeded, "10", "a")), When: Expire{Now: later}, Then: []Event{Confirmed{Because: CoveredByAuthorization}}},
	"and anybody can confirm it until then":                        {Given: given(captured("17.47")), When: Confirm{Now: later}, Then: []Event{Confirmed{}}},
	"an order that is paid in part expires, and its money is owed": {Given: given(captured("17.46")), When: Expire{Now: later}, Then: []Event{Expired{}, orphan("cap", "17.46"), refundOfEnd(RefundOfExpired, "", "cap", "17.46")}},
	"and so does one whose payment was authorized in part":         {Given: given(tx("a", Authorize, Succeeded, "10", ""), tx("c", Capture, Succeeded, "4", "a")), When: Expire{Now: later}, Then: []Event{Expired{}, orphan("a", "6"), orphan("c", "4"), refundOfEnd(RefundOfExpired, "", "c", "4")}},
	"what was given back is not owed again":                        {Given: given(captured("17.47"), tx("r", Refund, Succeeded, "10", "cap")), When: Expire{Now: later}, Then: []Event{Expired{}, orphan("cap", "7.47"), refundOfEnd(RefundOfExpired, "", "cap", "7.47")}},
	"nor what was given back without a parent":                     {Given: given(captured("17.47"), tx("r", Refund, Succeeded, "17.47", "")), When: Expire{Now: later}, Then: []Event{Expired{}}},
	"money that is on its way back covers nothing":                 {Given: given(captured("17.47"), tx("r", Refund, Pending, "10", "cap")), When: Expire{Now: later}, Then: []Event{Expired{}, orphan("cap", "17.47"), refundOfEnd(RefundOfExpired, "", "cap", "7.47")}},
	"nor does an authorization that is being voided":               {Given: given(authorized, tx("v", Void, Pending, "17.47", "a")), When: Expire{Now: later}, Then: []Event{Expired{}, orphan("a", "17.47")}},
	"a pending payment does not keep an order":                     {Given: given(tx("c", Capture, Pending, "17.47", "")), When: Expire{Now: later}, Then: []Event{Expired{}}},
	"a paid order on hold waits for its release":                   {Given: given(captured("17.47"), PutOnHold{Reason: "x"}), When: Expire{Now: later}, Nothing: true},
	"a release after the deadline confirms it":                     {Given: given(captured("17.47"), PutOnHold{Reason: "x"}), When: ReleaseHold{Now: later}, Then: []Event{HoldReleased{}, Confirmed{Because: CoveredByCapture}}},
	"a release after the deadline ends one that is paid in part":   {Given: given(captured("5"), PutOnHold{Reason: "x"}), When: ReleaseHold{Now: later}, Then: []Event{HoldReleased{}, Expired{}, orphan("cap", "5"), refundOfEnd(RefundOfExpired, "", "cap", "5")}},
	"a release before the deadline decides nothing else":           {Given: given(captured("17.47"), PutOnHold{Reason: "x"}), When: ReleaseHold{Now: noon}, Then: []Event{HoldReleased{}}},
	"a free order expires, because nothing says that it is wanted": {Given: []Event{free()}, When: Expire{Now: later}, Then: []Event{Expired{}}},
	"a failed authorization for a canceled order is not owed back": {Given: given(Canceled{}), When: pay(tx("a", Authorize, Failed, "5", "")), Then: []Event{tx("a", Authorize, Failed, "5", "")}},
}

func TestPaymentStateIsDerived(t *testing.T) {
	canceledA := LinesCanceled{Lines: []LineQuantity{{1, 3}}} // 7.50 off: 9.97 owed
	for name, c := range map[string]struct {
		events []Event
		want   PaymentState
	}{
		"no transaction":       {given(), Unpaid},
		"a pending capture":    {given(tx("c", Capture, Pending, "17.47", "")), Unpaid},
		"a failed capture":     {given(tx("c", Capture, Failed, "17.47", "")), Unpaid},
		"authorized":           {given(authorized), PaymentAuthorized},
		"authorized in part":   {given(tx("a", Authorize, Succeeded, "17.46", "")), PartiallyAuthorized},
		"voided":               {given(authorized, tx("v", Void, Succeeded, "17.47", "a")), Voided},
		"voided in part":       {given(authorized, tx("v", Void, Succeeded, "1", "a")), PartiallyAuthorized},
		"paid in part":         {given(captured("17.46")), PartiallyPaid},
		"paid":                 {given(captured("17.47")), Paid},
		"paid by two captures": {given(captured("10"), tx("c2", Capture, Succeeded, "7.47", "")), Paid},
		"paid too much":        {given(captured("17.48")), Overpaid},
		"paid too much after a cancel and a refund for returned goods":         {given(captured("17.47"), canceledA, paidBackOf("7.50")), Overpaid},
		"the excess given back after a cancel and a refund for returned goods": {given(captured("17.47"), canceledA, paidBackOf("7.50"), tx("r", Refund, Succeeded, "7.50", "")), PartiallyRefunded},
		"everything given back after a cancel and a refund for returned goods": {given(captured("17.47"), canceledA, paidBackOf("7.50"), tx("r", Refund, Succeeded, "9.97", "")), Due},
		"paid too much after a cancel":                                         {given(captured("17.47"), canceledA), Overpaid},
		"the excess given back after a cancel":                                 {given(captured("17.47"), canceledA, tx("r", Refund, Succeeded, "7.50", "")), PartiallyRefunded},
		"paid exactly after a cancel":                                          {given(captured("9.97"), canceledA), Paid},
		"a pending refund":                                                     {given(captured("17.47"), tx("r", Refund, Pending, "17.47", "")), Paid},
		"given back in part, although it is owed":                              {given(captured("17.47"), tx("r", Refund, Succeeded, "1", "")), Due},
		"given back, although it is owed":                                      {given(captured("17.47"), tx("r", Refund, Succeeded, "17.47", "")), Due},
		"given back as compensation":                                           {given(captured("17.47"), compensated("5")), Paid},
		"given back after a credit":                                            {given(captured("17.47"), creditOf("r1", "5"), tx("r", Refund, Succeeded, "5", "")), PartiallyRefunded},
		"not given back after a credit":                                        {given(captured("17.47"), creditOf("r1", "5")), Overpaid},
		"credited, and on its way back":                                        {given(captured("17.47"), creditOf("r1", "5"), tx("r", Refund, Pending, "5", "")), Overpaid},
		"all of it credited and given back":                                    {given(captured("17.47"), creditOf("r1", "17.47"), tx("r", Refund, Succeeded, "17.47", "")), Refunded},
		"all of it credited, and never paid":                                   {given(creditOf("r1", "17.47")), Unpaid},
		"charged back and reversed":                                            {given(captured("17.47"), tx("b", Chargeback, Succeeded, "17.47", "cap"), tx("w", Reversal, Succeeded, "17.47", "b")), Paid},
		"disputed":                                                             {given(captured("17.47"), disputed), Paid},
		"a cent is written off":                                                {given(captured("17.46"), DifferenceWrittenOff{Amount: pounds("-0.01")}), Paid},
		"a cent is kept":                                                       {given(captured("17.48"), DifferenceWrittenOff{Amount: pounds("0.01")}), Paid},
		"charged back":                                                         {given(captured("17.47"), tx("r", Chargeback, Succeeded, "17.47", "")), Due},
		"paid in part, some given back":                                        {given(captured("10"), tx("r", Refund, Succeeded, "1", "")), PartiallyPaid},
		"canceled unpaid":                                                      {given(Canceled{}), Unpaid},
		"canceled paid":                                                        {given(captured("17.47"), Canceled{}), Overpaid},
		"canceled and given back":                                              {given(captured("17.47"), Canceled{}, tx("r", Refund, Succeeded, "17.47", "")), Refunded},
		"a free order is paid":                                                 {[]Event{free()}, Paid},
		"a free order that expired is unpaid":                                  {[]Event{free(), Expired{}}, Unpaid},
		"a discount beyond the goods' worth is paid":                           {[]Event{discounted()}, Paid},
		"0.003 is owed as 0.00, so it is paid":                                 {[]Event{priced("0.001", 3)}, Paid},
		"0.005 is owed as 0.01, so it is unpaid":                               {[]Event{priced("0.001", 5)}, Unpaid},
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
		"nothing shipped":                         {binding(), Unfulfilled},
		"one parcel shipped":                      {binding(eastParcel), PartiallyFulfilled},
		"everything shipped":                      {shippedAll(), Fulfilled},
		"one parcel delivered":                    {shippedAll(Delivered{ShipmentID: "p2"}), PartiallyDelivered},
		"both parcels delivered":                  {shippedAll(Delivered{ShipmentID: "p1"}, Delivered{ShipmentID: "p2"}), Arrived},
		"one parcel shipped, the rest canceled":   {binding(eastParcel, Canceled{}), Fulfilled},
		"one parcel delivered, the rest canceled": {binding(eastParcel, Canceled{}, Delivered{ShipmentID: "p2"}), Arrived},
		"canceled before anything shipped":        {binding(Canceled{}), NotRequired},
		"services only":                           {[]Event{onlyPostage()}, NotRequired},
		"stock was lost":                          {given(Confirmed{}, shortOfB), Backordered},
		"stock was lost, the rest shipped":        {given(Confirmed{}, shortOfB, wholeParcel), Backordered},
		"stock was found":                         {given(Confirmed{}, shortOfB, AllocationRetried{Attempt: 1}, AllocationRecovered{}), Unfulfilled},
		"the lost units were canceled":            {given(Confirmed{}, shortOfB, LinesCanceled{Lines: []LineQuantity{{2, 1}}}), Unfulfilled},
		"all goods shipped, a service not":        {binding(LinesCanceled{Lines: []LineQuantity{{1, 3}, {2, 3}, {4, 1}}}, eastParcel), Fulfilled},
	} {
		if got := orders.Fold(c.events...).FulfillmentState(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

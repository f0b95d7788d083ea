package returns

import (
	"testing"

	"github.com/shopspring/decimal"

	"daybook/domain/decidertest"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

var backs = decidertest.Decider[Command, Event, State]{Decide: Decide, Evolve: Evolve}

type row = decidertest.Case[Command, Event]

func pounds(text string) unit.Money {
	return unit.Money{Amount: decimal.RequireFromString(text), Currency: "GBP"}
}

// The return has three units of A at 2.505 each, one unit of B, and the postage of 3.95.
var (
	comeBack = []Line{
		{SKU: "A", SKUText: "a", Title: "Lantern", Kind: unit.Stocked, Quantity: 3, Price: pounds("2.505"), Links: []Link{{OrderID: "o1", Line: 2, Quantity: 2}, {OrderID: "o2", Line: 1, Quantity: 1}}},
		{SKU: "B", Kind: unit.Stocked, Quantity: 1, Price: pounds("10")},
		{SKU: "POST", Kind: unit.Service, Quantity: 1, Price: pounds("3.95")},
	}
	ask = Request{
		ReturnID: "r1", OrderID: "o1", CustomerID: "u1", Reference: "C536379", Currency: "GBP", Country: "United Kingdom",
		Lines: comeBack, Reason: "too dark",
	}
	isRequested = Requested{
		ReturnID: "r1", OrderID: "o1", CustomerID: "u1", Reference: "C536379", Currency: "GBP", Country: "United Kingdom",
		Lines: numbered(comeBack), Reason: "too dark",
	}
	ofGuest = Requested{
		ReturnID: "r2", OrderID: "o1", CartID: "c1", Currency: "GBP", Lines: numbered(comeBack), Reason: "too dark", Admit: byOrder(comeBack),
	}
	twoOfA = []ReceivedLine{
		{Line: 1, Quantity: 1, Disposition: Restocked, Location: "main"},
		{Line: 1, Quantity: 1, Disposition: Damaged, Location: "main"},
	}
	firstReceipt = Received{Receipt: 1, Lines: twoOfA, Credits: []OrderCredit{{OrderID: "o1", Lines: []CreditedUnits{{Line: 2, Quantity: 2, Worth: pounds("5.01")}}}}}
	theRest      = []ReceivedLine{
		{Line: 1, Quantity: 1, Disposition: Lost, Location: "main"},
		{Line: 2, Quantity: 1, Disposition: WrongItem, Location: "main"},
	}
	lastReceipt = Received{Receipt: 2, Lines: theRest, Credits: []OrderCredit{
		{OrderID: "o2", Lines: []CreditedUnits{{Line: 1, Quantity: 1, Worth: pounds("2.505")}}},
		{OrderID: "o1", Worth: worth("10")}, // the unit of B has no link
	}}
	approved = Approved{Credits: []OrderCredit{{OrderID: "o1", Worth: worth("3.95")}}}
	isNoted  = CreditNoted{
		ReturnID: "n1", CustomerID: "u1", Reference: "A563186", Country: "United Kingdom", Reason: "bad_debt", Amount: pounds("-11062.06"),
		Lines: []CreditLine{{Number: 1, SKU: "B", SKUText: "b", Title: "Adjust bad debt", Quantity: 1, Price: pounds("-11062.06")}},
	}
	note = NoteCredit{
		ReturnID: "n1", CustomerID: "u1", Reference: "A563186", Currency: "GBP", Country: "United Kingdom", Reason: "bad_debt", Lines: isNoted.Lines,
	}
)

// uncredited is a receipt as older programs recorded it.
func uncredited(e Received) Received {
	e.Credits = nil
	return e
}

func worth(text string) *unit.Money {
	amount := pounds(text)
	return &amount
}

func given(events ...Event) []Event { return append([]Event{isRequested}, events...) }
func open(events ...Event) []Event  { return given(append([]Event{Approved{}}, events...)...) }

func refund(id unit.TransactionID, amount string) Refunded {
	return Refunded{TransactionID: id, Amount: pounds(amount), Provider: "stripe", Reference: "re_1"}
}

// limited is a refund that was recorded with the limit of within.
func limited(e Refunded) Refunded {
	e.Limit = within(RecordRefund{}).Limit
	return e
}

func payBack(e Refunded) RecordRefund {
	return RecordRefund{TransactionID: e.TransactionID, Amount: e.Amount, Provider: e.Provider, Reference: e.Reference}
}

// within is the command of a sender who may give back 5.00 in all.
func within(cmd RecordRefund) RecordRefund {
	limit := pounds("5")
	cmd.Limit = &limit
	return cmd
}

func withLine(change func(*Line)) Request {
	cmd := ask
	cmd.Lines = append([]Line{}, comeBack...)
	change(&cmd.Lines[0])
	return cmd
}

func arrived(receipt int, line int, quantity unit.Quantity, disposition Disposition) Receive {
	return Receive{Receipt: receipt, Lines: []ReceivedLine{{Line: line, Quantity: quantity, Disposition: disposition, Location: "main"}}}
}

func facts(r *rule.Rejection, facts map[string]any) *rule.Rejection { return r.With("", facts) }

var asking = map[string]row{
	"a requested return has its lines numbered":                  {When: ask, Then: []Event{isAsked}},
	"requesting a return again changes nothing":                  {Given: open(firstReceipt), When: ask, Nothing: true},
	"requesting a return again with another quantity is refused": {Given: given(), When: withLine(func(l *Line) { l.Quantity = 4 }), Refused: ErrExists},
	"requesting a return again with another link is refused":     {Given: given(), When: withLine(func(l *Line) { l.Links = nil }), Refused: ErrExists},
	"the return of a guest's order names its cart": {
		When: Request{ReturnID: "r2", OrderID: "o1", CartID: "c1", Currency: "GBP", Lines: comeBack, Reason: "too dark"}, Then: []Event{ofGuest},
	},
	"it is the same return without the cart, which follows from the order": {
		Given: []Event{ofGuest}, When: Request{ReturnID: "r2", OrderID: "o1", Currency: "GBP", Lines: comeBack, Reason: "too dark"}, Nothing: true,
	},
	"a return without lines is refused":                                                         {When: Request{ReturnID: "r1"}, Refused: ErrEmpty},
	"a line without units is refused":                                                           {When: withLine(func(l *Line) { l.Quantity = 0 }), Refused: ErrQuantityInvalid},
	"a link without units is refused":                                                           {When: withLine(func(l *Line) { l.Links = []Link{{OrderID: "o1", Line: 1}} }), Refused: ErrQuantityInvalid},
	"a line in another currency than the return's is refused":                                   {When: withLine(func(l *Line) { l.Price.Currency = "EUR" }), Refused: ErrCurrencyMixed},
	"a negative price of goods is refused":                                                      {When: withLine(func(l *Line) { l.Price = pounds("-0.01") }), Refused: facts(ErrPriceNegative, map[string]any{"line": 1})},
	"a service can have a negative price":                                                       {When: discountBack(), Then: []Event{discountIsBack()}},
	"requesting a return of an older program again changes nothing, also with a negative price": {Given: []Event{belowZero()}, When: withLine(func(l *Line) { l.Price = pounds("-1") }), Nothing: true},
	"a line with more linked units than its own is refused":                                     {When: withLine(func(l *Line) { l.Quantity = 2 }), Refused: facts(ErrLinkExceeded, map[string]any{"line": 1, "linked": 3, "quantity": 2})},
	"a return can be without an order":                                                          {When: withLine(func(l *Line) { l.Links = nil }), Then: []Event{unlinked()}},
	"admitting a return that an older program recorded changes nothing":                         {Given: given(), When: Admit{}, Nothing: true},
	"a command to a return that was not requested is refused":                                   {When: Approve{}, Refused: ErrNotFound},
	"a requested return can be approved":                                                        {Given: given(), When: Approve{}, Then: []Event{approved}},
	"approving a return again changes nothing":                                                  {Given: open(firstReceipt), When: Approve{}, Nothing: true},
	"a requested return can be declined":                                                        {Given: given(), When: Decline{Reason: "worn"}, Then: []Event{Declined{Reason: "worn"}}},
	"declining again changes nothing":                                                           {Given: given(Declined{}), When: Decline{Reason: "x"}, Nothing: true},
	"an approved return cannot be declined":                                                     {Given: open(), When: Decline{}, Refused: ErrNotRequested},
	"a declined return cannot be approved":                                                      {Given: given(Declined{}), When: Approve{}, Refused: ErrDeclined},
	"a return can be canceled":                                                                  {Given: given(), When: Cancel{Reason: "keeps it"}, Then: []Event{Canceled{Reason: "keeps it"}}},
	"an approved return can be canceled":                                                        {Given: open(), When: Cancel{}, Then: []Event{Canceled{}}},
	"canceling again changes nothing":                                                           {Given: given(Canceled{}), When: Cancel{}, Nothing: true},
	"a return cannot be canceled after goods were received":                                     {Given: open(firstReceipt), When: Cancel{}, Refused: ErrReceived},
	"a return cannot be canceled after a refund":                                                {Given: open(refund("t", "3.95")), When: Cancel{}, Refused: ErrRefunded},
	"a closed return cannot be canceled":                                                        {Given: open(firstReceipt, lastReceipt, Closed{}), When: Cancel{}, Refused: ErrClosed},
	"a canceled return cannot be approved":                                                      {Given: given(Canceled{}), When: Approve{}, Refused: ErrCanceled},
}

func discountBack() Request {
	cmd := ask
	cmd.Lines = []Line{{SKU: "D", Kind: unit.Service, Quantity: 1, Price: pounds("-5")}}
	return cmd
}

func discountIsBack() Requested {
	e := isRequested
	e.Lines = numbered(discountBack().Lines)
	return e
}

func belowZero() Requested {
	e := isRequested
	e.Lines = numbered(comeBack)
	e.Lines[0].Price = pounds("-1")
	return e
}

func unlinked() Requested {
	e := isRequested
	e.Lines = numbered(comeBack)
	e.Lines[0].Links = nil
	return e
}

var receiving = map[string]row{
	"a receipt gives each unit its end":                                     {Given: open(), When: Receive{Receipt: 1, Lines: twoOfA}, Then: []Event{firstReceipt}},
	"recording a receipt again changes nothing":                             {Given: open(firstReceipt, lastReceipt), When: Receive{Receipt: 1, Lines: twoOfA}, Nothing: true},
	"recording a receipt again changes nothing after the return was closed": {Given: open(firstReceipt, lastReceipt, Closed{}), When: Receive{Receipt: 2, Lines: theRest}, Nothing: true},
	"a receipt with a used number and other lines is refused":               {Given: open(firstReceipt), When: Receive{Receipt: 1, Lines: theRest}, Refused: ErrReceiptDiffers},
	"the rest can come with a second receipt":                               {Given: open(firstReceipt), When: Receive{Receipt: 2, Lines: theRest}, Then: []Event{lastReceipt}},
	"a receipt that skips a number is refused":                              {Given: open(firstReceipt), When: Receive{Receipt: 3, Lines: theRest}, Refused: facts(ErrReceiptOrder, map[string]any{"next": 2})},
	"a receipt without a number gets the next one":                          {Given: open(firstReceipt), When: Receive{Lines: theRest}, Then: []Event{lastReceipt}},
	"a receipt without a number is a new one, also with the same lines":     {Given: open(oneLost(1)), When: Receive{Lines: oneLost(1).Lines}, Then: []Event{creditedLost(2)}, Repeats: true},
	"a receipt with a negative number is refused":                           {Given: open(firstReceipt), When: Receive{Receipt: -1, Lines: theRest}, Refused: ErrReceiptOrder},
	"a receipt is refused before the return is approved":                    {Given: given(), When: Receive{Receipt: 1, Lines: twoOfA}, Refused: ErrNotApproved},
	"a receipt of a declined return is refused":                             {Given: given(Declined{}), When: Receive{Receipt: 1, Lines: twoOfA}, Refused: ErrDeclined},
	"a receipt without lines is refused":                                    {Given: open(), When: Receive{Receipt: 1}, Refused: ErrEmpty},
	"a receipt of an unknown line is refused":                               {Given: open(), When: arrived(1, 4, 1, Restocked), Refused: facts(ErrLineUnknown, map[string]any{"line": 4})},
	"a receipt of line 0 is refused":                                        {Given: open(), When: arrived(1, 0, 1, Restocked), Refused: ErrLineUnknown},
	"a receipt of a service is refused":                                     {Given: open(), When: arrived(1, 3, 1, WrittenOff), Refused: facts(ErrServiceLine, map[string]any{"line": 3})},
	"a receipt without units is refused":                                    {Given: open(), When: arrived(1, 1, 0, Restocked), Refused: ErrQuantityInvalid},
	"a receipt of more units than are awaited is refused":                   {Given: open(firstReceipt), When: arrived(2, 1, 2, Lost), Refused: facts(ErrQuantityExceeded, map[string]any{"line": 1, "awaited": 1, "requested": 2})},
	"a receipt of more units than are awaited, in two lines, is refused":    {Given: open(), When: Receive{Receipt: 1, Lines: []ReceivedLine{{1, 2, Restocked, "main"}, {1, 2, Restocked, "east"}}}, Refused: ErrQuantityExceeded},
	"an unknown disposition is refused":                                     {Given: open(), When: arrived(1, 1, 1, "eaten"), Refused: ErrDispositionWrong},
	"a received return can be closed":                                       {Given: open(firstReceipt, lastReceipt), When: Close{}, Then: []Event{Closed{}}},
	"closing a return again changes nothing":                                {Given: open(firstReceipt, lastReceipt, Closed{}), When: Close{}, Nothing: true},
	"a return cannot be closed while units are awaited":                     {Given: open(firstReceipt), When: Close{}, Refused: facts(ErrNotFinished, map[string]any{"line": 1, "awaited": 1})},
	"a return cannot be closed before it is approved":                       {Given: given(), When: Close{}, Refused: ErrNotApproved},
	"a return of services alone can be closed without a receipt":            {Given: []Event{postageBack(), Approved{}}, When: Close{}, Then: []Event{Closed{}}},
	"the stock of a receipt can be settled":                                 {Given: open(firstReceipt), When: SettleStock{Receipt: 1}, Then: []Event{StockSettled{Receipt: 1}}},
	"settling the stock of a receipt again changes nothing":                 {Given: open(firstReceipt, StockSettled{Receipt: 1}), When: SettleStock{Receipt: 1}, Nothing: true},
	"settling the stock of a receipt that moved none changes nothing":       {Given: open(firstReceipt, lastReceipt), When: SettleStock{Receipt: 2}, Nothing: true},
	"settling the stock of an unknown receipt changes nothing":              {Given: open(), When: SettleStock{Receipt: 7}, Nothing: true},
}

// creditedLost is a receipt of one unit of A that was lost, the second one of order o1.
func creditedLost(receipt int) Received {
	e := oneLost(receipt)
	e.Credits = []OrderCredit{{OrderID: "o1", Lines: []CreditedUnits{{Line: 2, Quantity: 1, Worth: pounds("2.505")}}}}
	return e
}

func oneLost(receipt int) Received {
	return Received{Receipt: receipt, Lines: arrived(receipt, 1, 1, Lost).Lines}
}

func postageBack() Requested {
	e := isRequested
	e.Lines = numbered(comeBack[2:])
	return e
}

var refunding = map[string]row{
	"services can be refunded after the approval":                  {Given: open(), When: payBack(refund("t", "3.95")), Then: []Event{ofO1("t", "3.95")}},
	"goods cannot be refunded before they are received":            {Given: open(), When: payBack(refund("t", "3.96")), Refused: facts(ErrAmountExceeded, map[string]any{"refundable": pounds("3.95"), "requested": pounds("3.96")})},
	"received goods can be refunded":                               {Given: open(firstReceipt), When: payBack(refund("t", "8.96")), Then: []Event{ofO1("t", "8.96")}},                // 3.95 + 2 × 2.505
	"the worth of all units is rounded once":                       {Given: open(firstReceipt, lastReceipt), When: payBack(refund("t", "21.47")), Then: []Event{ofO1("t", "21.47")}}, // 3.95 + 7.515 + 10
	"a refund beyond the worth of all units is refused":            {Given: open(firstReceipt, lastReceipt), When: payBack(refund("t", "21.48")), Refused: ErrAmountExceeded},
	"a refund is refused if all refunds together exceed the worth": {Given: open(firstReceipt, lastReceipt, refund("t", "20")), When: payBack(refund("u", "1.48")), Refused: ErrAmountExceeded},
	"a closed return can have a refund":                            {Given: open(firstReceipt, lastReceipt, Closed{}), When: payBack(refund("t", "1")), Then: []Event{ofO1("t", "1")}},
	"recording a refund again changes nothing":                     {Given: open(refund("t", "1")), When: payBack(refund("t", "1.00")), Nothing: true},
	"a refund with a used id and another amount is refused":        {Given: open(refund("t", "1")), When: payBack(refund("t", "2")), Refused: ErrRefundDiffers},
	"a refund is refused before the return is approved":            {Given: given(), When: payBack(refund("t", "1")), Refused: ErrNotApproved},
	"a refund of a canceled return is refused":                     {Given: given(Canceled{}), When: payBack(refund("t", "1")), Refused: ErrCanceled},
	"a refund of zero is refused":                                  {Given: open(), When: payBack(refund("t", "0")), Refused: ErrAmountInvalid},
	"a refund finer than its currency is refused":                  {Given: open(), When: RecordRefund{TransactionID: "t", Amount: pounds("1.001")}, Refused: ErrAmountTooFine},
	"a refund in another currency is refused":                      {Given: open(), When: RecordRefund{TransactionID: "t", Amount: unit.Money{Amount: pounds("1").Amount, Currency: "EUR"}}, Refused: ErrCurrencyDiffers},
	"a sender with a limit gives back as much as the limit":        {Given: open(firstReceipt, lastReceipt, refund("t", "3")), When: within(payBack(refund("u", "2"))), Then: []Event{limited(ofO1("u", "2"))}},
	"a refund above the limit of its sender is refused":            {Given: open(firstReceipt, lastReceipt, refund("t", "3")), When: within(payBack(refund("u", "2.01"))), Refused: facts(ErrRefundLimit, map[string]any{"limit": pounds("5"), "given_back": pounds("3"), "requested": pounds("2.01")})},
	"a refund that is recorded is repeated in spite of the limit":  {Given: open(firstReceipt, lastReceipt, refund("t", "6")), When: within(payBack(refund("t", "6"))), Nothing: true},
	"a credit note can be noted":                                   {When: note, Then: []Event{isNoted}},
	"noting a credit again changes nothing":                        {Given: []Event{isNoted}, When: note, Nothing: true},
	"a credit note with a used id and other content is refused":    {Given: []Event{isNoted}, When: NoteCredit{ReturnID: "n1", Currency: "GBP"}, Refused: ErrExists},
	"a credit note with the id of a return is refused":             {Given: given(), When: note, Refused: ErrExists},
	"a return with the id of a credit note is refused":             {Given: []Event{isNoted}, When: ask, Refused: ErrExists},
	"a command to a credit note is refused":                        {Given: []Event{isNoted}, When: Approve{}, Refused: ErrCreditNote},
	"a credit note without lines is refused":                       {When: NoteCredit{ReturnID: "n1", Currency: "GBP"}, Refused: ErrEmpty},
	"a credit note with lines in another currency is refused":      {When: NoteCredit{ReturnID: "n1", Currency: "EUR", Lines: isNoted.Lines}, Refused: ErrCurrencyMixed},
	"the amount of a credit note is the sum of its signed lines":   {When: NoteCredit{ReturnID: "n1", Currency: "GBP", Lines: signed}, Then: []Event{CreditNoted{ReturnID: "n1", Lines: signed, Amount: pounds("-4.5")}}},
}

var signed = []CreditLine{
	{Number: 1, SKU: "D", Quantity: -2, Price: pounds("2.5")},
	{Number: 2, SKU: "M", Quantity: 1, Price: pounds("0.5")},
}

func TestAsking(t *testing.T)    { backs.Run(t, asking) }
func TestReceiving(t *testing.T) { backs.Run(t, receiving) }
func TestRefunding(t *testing.T) { backs.Run(t, refunding) }

func TestEveryRefusalHasARow(t *testing.T) {
	backs.EveryRefusalHasARow(t, Rejections, asking, admitting, receiving, refunding, sharing, withdrawing, takingOver, limiting, writing)
}

func TestWireForm(t *testing.T) {
	decidertest.Codec[Event]{Encode: Encode, Decode: Decode}.Golden(t, []Event{
		isRequested, isAsked, ofGuest,
		Admitted{},
		denied, deniedUnheard,
		Approved{},
		Declined{Reason: "worn"},
		Canceled{Reason: "keeps it"},
		uncredited(firstReceipt), uncredited(lastReceipt),
		refund("t", "21.47"), shared("t", "21.47", Share{"o1", pounds("21.47")}), limited(refund("t", "21.47")),
		OrdersSettled{Step: StepRelease},
		OrdersSettled{Step: StepRefund, Ref: "t"},
		withdrawn("t", "21.47", Share{"o1", pounds("21.47")}),
		Closed{},
		takenOver,
		StockSettled{Receipt: 1},
		isNoted,
		approved, firstReceipt, lastReceipt,
	})
}

func TestReturnedGoodsGoBackByTheirEnd(t *testing.T) {
	s := backs.Fold(open(Received{Receipt: 1, Lines: []ReceivedLine{
		{Line: 1, Quantity: 1, Disposition: Restocked, Location: "main"},
		{Line: 1, Quantity: 1, Disposition: Restocked, Location: "main"},
		{Line: 1, Quantity: 1, Disposition: Damaged, Location: "main"},
		{Line: 2, Quantity: 1, Disposition: WrittenOff, Location: "main"},
	}})...)
	want := []Move{
		{SKU: "A", Location: "main", Disposition: Restocked, Quantity: 2},
		{SKU: "A", Location: "main", Disposition: Damaged, Quantity: 1},
	}
	if len(s.Unsettled) != 1 || len(s.Unsettled[0].Moves) != len(want) {
		t.Fatalf("open receipts %+v", s.Unsettled)
	}
	for i, move := range s.Unsettled[0].Moves {
		if move != want[i] {
			t.Errorf("move %d: %+v, want %+v", i, move, want[i])
		}
	}
}

// A return belongs to its customer, or to the guest who has the cart of its order.
func TestWhoOwnsAReturn(t *testing.T) {
	customers, guests, nobodys := backs.Fold(isRequested), backs.Fold(ofGuest), backs.Fold(Requested{ReturnID: "r3"})
	for name, c := range map[string]struct {
		of    State
		owner unit.Owner
		owns  bool
	}{
		"its customer":                      {customers, unit.CustomerID("u1").Owner(), true},
		"another customer":                  {customers, unit.CustomerID("u2").Owner(), false},
		"its guest":                         {guests, unit.CartID("c1").Owner(), true},
		"another guest":                     {guests, unit.CartID("c2").Owner(), false},
		"a customer with the cart's id":     {guests, unit.CustomerID("c1").Owner(), false},
		"nobody":                            {nobodys, "", false},
		"a customer, of a return of nobody": {nobodys, unit.CustomerID("u1").Owner(), false},
	} {
		if c.of.OwnedBy(c.owner) != c.owns {
			t.Errorf("%s owns it: %t, want %t", name, !c.owns, c.owns)
		}
	}
}

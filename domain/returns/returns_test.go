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
	twoOfA = []ReceivedLine{
		{Line: 1, Quantity: 1, Disposition: Restocked, Location: "main"},
		{Line: 1, Quantity: 1, Disposition: Damaged, Location: "main"},
	}
	firstReceipt = Received{Receipt: 1, Lines: twoOfA}
	theRest      = []ReceivedLine{
		{Line: 1, Quantity: 1, Disposition: Lost, Location: "main"},
		{Line: 2, Quantity: 1, Disposition: WrongItem, Location: "main"},
	}
	lastReceipt = Received{Receipt: 2, Lines: theRest}
	isNoted     = CreditNoted{
		ReturnID: "n1", CustomerID: "u1", Reference: "A563186", Country: "United Kingdom", Reason: "bad_debt", Amount: pounds("-11062.06"),
		Lines: []CreditLine{{Number: 1, SKU: "B", SKUText: "b", Title: "Adjust bad debt", Quantity: 1, Price: pounds("-11062.06")}},
	}
	note = NoteCredit{
		ReturnID: "n1", CustomerID: "u1", Reference: "A563186", Currency: "GBP", Country: "United Kingdom", Reason: "bad_debt", Lines: isNoted.Lines,
	}
)

func given(events ...Event) []Event { return append([]Event{isRequested}, events...) }
func open(events ...Event) []Event  { return given(append([]Event{Approved{}}, events...)...) }

func refund(id unit.TransactionID, amount string) Refunded {
	return Refunded{TransactionID: id, Amount: pounds(amount), Provider: "stripe", Reference: "re_1"}
}

func payBack(e Refunded) RecordRefund {
	return RecordRefund{TransactionID: e.TransactionID, Amount: e.Amount, Provider: e.Provider, Reference: e.Reference}
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
	"a return is requested, its lines numbered":          {When: ask, Then: []Event{isAsked}},
	"requesting it again changes nothing":                {Given: open(firstReceipt), When: ask, Nothing: true},
	"another return under the id is refused":             {Given: given(), When: withLine(func(l *Line) { l.Quantity = 4 }), Refused: ErrExists},
	"also where only a link differs":                     {Given: given(), When: withLine(func(l *Line) { l.Links = nil }), Refused: ErrExists},
	"a return has lines":                                 {When: Request{ReturnID: "r1"}, Refused: ErrEmpty},
	"a line has units":                                   {When: withLine(func(l *Line) { l.Quantity = 0 }), Refused: ErrQuantityInvalid},
	"a link has units":                                   {When: withLine(func(l *Line) { l.Links = []Link{{OrderID: "o1", Line: 1}} }), Refused: ErrQuantityInvalid},
	"one currency a return":                              {When: withLine(func(l *Line) { l.Price.Currency = "EUR" }), Refused: ErrCurrencyMixed},
	"goods are not worth less than nothing":              {When: withLine(func(l *Line) { l.Price = pounds("-0.01") }), Refused: facts(ErrPriceNegative, map[string]any{"line": 1})},
	"a discount comes back with its sign":                {When: discountBack(), Then: []Event{discountIsBack()}},
	"one that older programs recorded repeats":           {Given: []Event{belowZero()}, When: withLine(func(l *Line) { l.Price = pounds("-1") }), Nothing: true},
	"no more are linked than come back":                  {When: withLine(func(l *Line) { l.Quantity = 2 }), Refused: facts(ErrLinkExceeded, map[string]any{"line": 1, "linked": 3, "quantity": 2})},
	"a return needs no order":                            {When: withLine(func(l *Line) { l.Links = nil }), Then: []Event{unlinked()}},
	"one older than admissions needs none":               {Given: given(), When: Admit{}, Nothing: true},
	"a return that was not requested refuses everything": {When: Approve{}, Refused: ErrNotFound},
	"a requested return is approved":                     {Given: given(), When: Approve{}, Then: []Event{Approved{}}},
	"once":                                               {Given: open(firstReceipt), When: Approve{}, Nothing: true},
	"or declined":                                        {Given: given(), When: Decline{Reason: "worn"}, Then: []Event{Declined{Reason: "worn"}}},
	"declining again changes nothing":                    {Given: given(Declined{}), When: Decline{Reason: "x"}, Nothing: true},
	"an approved one is not declined":                    {Given: open(), When: Decline{}, Refused: ErrNotRequested},
	"a declined one is not approved":                     {Given: given(Declined{}), When: Approve{}, Refused: ErrDeclined},
	"a return can be canceled":                           {Given: given(), When: Cancel{Reason: "keeps it"}, Then: []Event{Canceled{Reason: "keeps it"}}},
	"also when approved":                                 {Given: open(), When: Cancel{}, Then: []Event{Canceled{}}},
	"canceling again changes nothing":                    {Given: given(Canceled{}), When: Cancel{}, Nothing: true},
	"not when something came":                            {Given: open(firstReceipt), When: Cancel{}, Refused: ErrReceived},
	"nor when money was given back":                      {Given: open(refund("t", "3.95")), When: Cancel{}, Refused: ErrRefunded},
	"nor when it is closed":                              {Given: open(firstReceipt, lastReceipt, Closed{}), When: Cancel{}, Refused: ErrClosed},
	"a canceled one is not approved":                     {Given: given(Canceled{}), When: Approve{}, Refused: ErrCanceled},
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
	"units come, each with its end":                {Given: open(), When: Receive{Receipt: 1, Lines: twoOfA}, Then: []Event{firstReceipt}},
	"the same receipt again changes nothing":       {Given: open(firstReceipt, lastReceipt), When: Receive{Receipt: 1, Lines: twoOfA}, Nothing: true},
	"also once it is closed":                       {Given: open(firstReceipt, lastReceipt, Closed{}), When: Receive{Receipt: 2, Lines: theRest}, Nothing: true},
	"another under its number is refused":          {Given: open(firstReceipt), When: Receive{Receipt: 1, Lines: theRest}, Refused: ErrReceiptDiffers},
	"the rest comes later":                         {Given: open(firstReceipt), When: Receive{Receipt: 2, Lines: theRest}, Then: []Event{lastReceipt}},
	"with the next number":                         {Given: open(firstReceipt), When: Receive{Receipt: 3, Lines: theRest}, Refused: facts(ErrReceiptOrder, map[string]any{"next": 2})},
	"without a number it is the next":              {Given: open(firstReceipt), When: Receive{Lines: theRest}, Then: []Event{lastReceipt}},
	"also with the lines of the one before":        {Given: open(oneLost(1)), When: Receive{Lines: oneLost(1).Lines}, Then: []Event{oneLost(2)}, Repeats: true},
	"there is no receipt below":                    {Given: open(firstReceipt), When: Receive{Receipt: -1, Lines: theRest}, Refused: ErrReceiptOrder},
	"not before it is approved":                    {Given: given(), When: Receive{Receipt: 1, Lines: twoOfA}, Refused: ErrNotApproved},
	"nor when it was declined":                     {Given: given(Declined{}), When: Receive{Receipt: 1, Lines: twoOfA}, Refused: ErrDeclined},
	"an empty parcel is no receipt":                {Given: open(), When: Receive{Receipt: 1}, Refused: ErrEmpty},
	"a missing line is refused":                    {Given: open(), When: arrived(1, 4, 1, Restocked), Refused: facts(ErrLineUnknown, map[string]any{"line": 4})},
	"so is line 0":                                 {Given: open(), When: arrived(1, 0, 1, Restocked), Refused: ErrLineUnknown},
	"a service is not received":                    {Given: open(), When: arrived(1, 3, 1, WrittenOff), Refused: facts(ErrServiceLine, map[string]any{"line": 3})},
	"a receipt has units":                          {Given: open(), When: arrived(1, 1, 0, Restocked), Refused: ErrQuantityInvalid},
	"no more come than are awaited":                {Given: open(firstReceipt), When: arrived(2, 1, 2, Lost), Refused: facts(ErrQuantityExceeded, map[string]any{"line": 1, "awaited": 1, "requested": 2})},
	"also not told in two":                         {Given: open(), When: Receive{Receipt: 1, Lines: []ReceivedLine{{1, 2, Restocked, "main"}, {1, 2, Restocked, "east"}}}, Refused: ErrQuantityExceeded},
	"an unheard-of end is refused":                 {Given: open(), When: arrived(1, 1, 1, "eaten"), Refused: ErrDispositionWrong},
	"a received return is closed":                  {Given: open(firstReceipt, lastReceipt), When: Close{}, Then: []Event{Closed{}}},
	"once closed is closed":                        {Given: open(firstReceipt, lastReceipt, Closed{}), When: Close{}, Nothing: true},
	"not while units are awaited":                  {Given: open(firstReceipt), When: Close{}, Refused: facts(ErrNotFinished, map[string]any{"line": 1, "awaited": 1})},
	"nor before it is approved":                    {Given: given(), When: Close{}, Refused: ErrNotApproved},
	"one of services alone needs no receipt":       {Given: []Event{postageBack(), Approved{}}, When: Close{}, Then: []Event{Closed{}}},
	"a receipt's stock is settled":                 {Given: open(firstReceipt), When: SettleStock{Receipt: 1}, Then: []Event{StockSettled{Receipt: 1}}},
	"once settled is settled":                      {Given: open(firstReceipt, StockSettled{Receipt: 1}), When: SettleStock{Receipt: 1}, Nothing: true},
	"a receipt that moves no stock is settled":     {Given: open(firstReceipt, lastReceipt), When: SettleStock{Receipt: 2}, Nothing: true},
	"a receipt that never came is settled as well": {Given: open(), When: SettleStock{Receipt: 7}, Nothing: true},
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
	"services are refundable on approval":    {Given: open(), When: payBack(refund("t", "3.95")), Then: []Event{ofO1("t", "3.95")}},
	"goods are not":                          {Given: open(), When: payBack(refund("t", "3.96")), Refused: facts(ErrAmountExceeded, map[string]any{"refundable": pounds("3.95"), "requested": pounds("3.96")})},
	"until they are received":                {Given: open(firstReceipt), When: payBack(refund("t", "8.96")), Then: []Event{ofO1("t", "8.96")}},                // 3.95 + 2 × 2.505
	"the worth of all is rounded once":       {Given: open(firstReceipt, lastReceipt), When: payBack(refund("t", "21.47")), Then: []Event{ofO1("t", "21.47")}}, // 3.95 + 7.515 + 10
	"not a penny more":                       {Given: open(firstReceipt, lastReceipt), When: payBack(refund("t", "21.48")), Refused: ErrAmountExceeded},
	"all refunds count together":             {Given: open(firstReceipt, lastReceipt, refund("t", "20")), When: payBack(refund("u", "1.48")), Refused: ErrAmountExceeded},
	"a refund may follow the close":          {Given: open(firstReceipt, lastReceipt, Closed{}), When: payBack(refund("t", "1")), Then: []Event{ofO1("t", "1")}},
	"the same refund again changes nothing":  {Given: open(refund("t", "1")), When: payBack(refund("t", "1.00")), Nothing: true},
	"another under its id is refused":        {Given: open(refund("t", "1")), When: payBack(refund("t", "2")), Refused: ErrRefundDiffers},
	"not before the approval":                {Given: given(), When: payBack(refund("t", "1")), Refused: ErrNotApproved},
	"nor of a canceled return":               {Given: given(Canceled{}), When: payBack(refund("t", "1")), Refused: ErrCanceled},
	"no money is no refund":                  {Given: open(), When: payBack(refund("t", "0")), Refused: ErrAmountInvalid},
	"another currency is refused":            {Given: open(), When: RecordRefund{TransactionID: "t", Amount: unit.Money{Amount: pounds("1").Amount, Currency: "EUR"}}, Refused: ErrCurrencyDiffers},
	"a credit note is a document of its own": {When: note, Then: []Event{isNoted}},
	"noting it again changes nothing":        {Given: []Event{isNoted}, When: note, Nothing: true},
	"another under the id is refused":        {Given: []Event{isNoted}, When: NoteCredit{ReturnID: "n1", Currency: "GBP"}, Refused: ErrExists},
	"a return is no credit note":             {Given: given(), When: note, Refused: ErrExists},
	"nor a credit note a return":             {Given: []Event{isNoted}, When: ask, Refused: ErrExists},
	"nothing follows a credit note":          {Given: []Event{isNoted}, When: Approve{}, Refused: ErrCreditNote},
	"a credit note has lines":                {When: NoteCredit{ReturnID: "n1", Currency: "GBP"}, Refused: ErrEmpty},
	"of one currency":                        {When: NoteCredit{ReturnID: "n1", Currency: "EUR", Lines: isNoted.Lines}, Refused: ErrCurrencyMixed},
	"its amount is the sum of signed lines":  {When: NoteCredit{ReturnID: "n1", Currency: "GBP", Lines: signed}, Then: []Event{CreditNoted{ReturnID: "n1", Lines: signed, Amount: pounds("-4.5")}}},
}

var signed = []CreditLine{
	{Number: 1, SKU: "D", Quantity: -2, Price: pounds("2.5")},
	{Number: 2, SKU: "M", Quantity: 1, Price: pounds("0.5")},
}

func TestAsking(t *testing.T)    { backs.Run(t, asking) }
func TestReceiving(t *testing.T) { backs.Run(t, receiving) }
func TestRefunding(t *testing.T) { backs.Run(t, refunding) }

func TestEveryRefusalHasARow(t *testing.T) {
	backs.EveryRefusalHasARow(t, Rejections, asking, admitting, receiving, refunding, sharing, withdrawing, limiting, writing)
}

func TestWireForm(t *testing.T) {
	decidertest.Codec[Event]{Encode: Encode, Decode: Decode}.Golden(t, []Event{
		isRequested, isAsked,
		Admitted{},
		denied, deniedUnheard,
		Approved{},
		Declined{Reason: "worn"},
		Canceled{Reason: "keeps it"},
		firstReceipt, lastReceipt,
		refund("t", "21.47"), shared("t", "21.47", Share{"o1", pounds("21.47")}),
		OrdersSettled{Step: StepRelease},
		OrdersSettled{Step: StepRefund, Ref: "t"},
		withdrawn("t", "21.47", Share{"o1", pounds("21.47")}),
		Closed{},
		StockSettled{Receipt: 1},
		isNoted,
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

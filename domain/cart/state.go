package cart

import (
	"cmp"
	"maps"
	"slices"

	"daybook/domain/bloom"
	"daybook/domain/contact"
	"daybook/domain/money/pricing"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

// FoldVersion names the shape of State: a snapshot of another version is not read. Raise it with
// every change of State or Evolve.
const FoldVersion = 11

// Limits of a cart. They keep the events that carry all lines at once (CheckoutStarted here, and
// Placed in the order's stream) below the size that one append may have.
const (
	MaxLines     = 2000
	MaxTextBytes = 256 << 10 // of all lines together: codes and titles, as JSON
)

// maxRefused is how many refused order ids a cart lists. Older ids are only in Forgotten. A
// decision that needs them reads the events.
const maxRefused = 256

// State is what the rules need to know of a cart. The zero State is a cart that
// was never opened.
type State struct {
	Phase      Phase           `json:"phase,omitempty"`
	CartID     unit.CartID     `json:"cart_id,omitempty"`
	CustomerID unit.CustomerID `json:"customer_id,omitempty"`
	Currency   unit.Currency   `json:"currency,omitempty"`
	Country    string          `json:"country,omitempty"`
	Channel    string          `json:"channel,omitempty"`
	// Coupons are the codes that were put on the cart, in the order of the putting.
	Coupons []string `json:"coupons,omitempty"`
	// Shipping is the method that was chosen.
	Shipping string `json:"shipping,omitempty"`
	// Discounts are those that persons gave, in the order of the giving.
	Discounts []pricing.Manual `json:"discounts,omitempty"`
	// TaxStatus is that of the buyer, if the cart says more than the account.
	TaxStatus *pricing.TaxStatus `json:"tax_status,omitempty"`
	Opening   string             `json:"opening,omitempty"` // as in Opened
	// FirstRecipient is the recipient for whom the cart was opened, if the recipient has changed
	// since.
	FirstRecipient *Recipient `json:"first,omitzero"`
	// Details are kept for readers when the cart has become an order. nil: there are none.
	Details *contact.Details `json:"details,omitempty"`
	// Lines are ordered by number. A cart that became an order has none, because the order
	// has them. A cart that was abandoned or has expired keeps its lines for its readers, and
	// a merged cart keeps them for the cart that takes them.
	Lines     []Line `json:"lines,omitempty"`
	TextBytes int    `json:"text_bytes,omitzero"` // of Lines; see MaxTextBytes
	LastLine  int    `json:"last_line,omitzero"`  // the highest number ever given
	// Units and AbsoluteTotal are sums over Lines. AbsoluteTotal adds the absolute line totals: 100
	// and -90 give 190. So no sum of some of the lines is larger than AbsoluteTotal.
	Units         unit.Quantity `json:"units,omitzero"`
	AbsoluteTotal unit.Money    `json:"worth,omitzero"`
	// OrderID is the id of the checkout that is under way, or of the order that the cart
	// became.
	OrderID unit.OrderID `json:"order_id,omitempty"`
	// Refused are the order ids whose checkout was refused, oldest first.
	Refused []unit.OrderID `json:"refused,omitempty"`
	// Forgotten has the order ids that have left Refused. It costs 5 to 10 bytes for each.
	Forgotten bloom.Filter `json:"forgotten,omitzero"`
	// Merge is the latest merge of this cart into another. It is under way, or done, while
	// Phase is PhaseMerged; otherwise it was refused.
	Merge MergedInto `json:"merge,omitzero"`
	// TookMerge is set once the lines of another cart were merged into this one.
	TookMerge bool `json:"took_merge,omitzero"`
	// Recalled is what the log says about forgotten order ids, for one Decide: see Recall. It
	// is empty in a state that was folded.
	Recalled map[unit.OrderID]bool `json:"recalled,omitempty"`
}

// Recipient says whose cart it is, and to which country it goes.
type Recipient struct {
	CustomerID unit.CustomerID `json:"customer_id,omitempty"`
	Country    string          `json:"country,omitempty"`
}

// openedFor is the recipient in the cart's first event. A repeated Open names the same one.
func (s State) openedFor() Recipient {
	if s.FirstRecipient != nil {
		return *s.FirstRecipient
	}
	return Recipient{CustomerID: s.CustomerID, Country: s.Country}
}

// refused tells whether the checkout under an order id was refused. Its error is a
// *rule.ForgottenError.
func (s State) refused(id unit.OrderID) (bool, error) {
	if slices.Contains(s.Refused, id) {
		return true, nil
	}
	if !s.Forgotten.Has(string(id)) {
		return false, nil
	}
	was, known := s.Recalled[id]
	if !known {
		return false, &rule.ForgottenError{Name: string(id)}
	}
	return was, nil
}

// About tells whether an event is the refusal of the checkout under an order id. name comes from a
// rule.ForgottenError of Decide. One such event is enough, because it says that the checkout was
// refused.
func About(name string, e Event) (about, enough bool) {
	refused, ok := e.(CheckoutRefused)
	about = ok && string(refused.OrderID) == name
	return about, about
}

// Recall returns s with what events say about a forgotten order id. events are those of the
// stream that About selects. The result is for one Decide only: s itself does not change, and
// Evolve goes on from s.
func Recall(s State, name string, events []Event) State {
	s.Recalled = maps.Clone(s.Recalled)
	if s.Recalled == nil {
		s.Recalled = map[unit.OrderID]bool{}
	}
	s.Recalled[unit.OrderID(name)] = len(events) > 0
	return s
}

// Phase is where a cart is in its life; empty before it begins.
type Phase string

const (
	NotOpened      Phase = ""
	PhaseOpen      Phase = "open"
	Completing     Phase = "completing"
	Completed      Phase = "completed"
	PhaseExpired   Phase = "expired"
	PhaseAbandoned Phase = "abandoned"
	PhaseMerged    Phase = "merged" // its lines are, or soon will be, those of another cart
)

// Total is the exact sum of the lines; it is not rounded.
func (s State) Total() unit.Money {
	total := unit.Zero(s.Currency)
	for _, line := range s.Lines {
		total = total.Plus(line.Total())
	}
	return total
}

// MergeTarget is the cart that this one was merged into, or is being merged into. It is empty
// if there is none.
func (s State) MergeTarget() unit.CartID {
	if s.Phase != PhaseMerged {
		return ""
	}
	return s.Merge.Target
}

// line finds a line by its number.
func (s State) line(number int) (index int, found bool) {
	return slices.BinarySearchFunc(s.Lines, number, func(l Line, n int) int { return l.Number - n })
}

// Evolve is the state after one more event. It may change the lists of s in place, so the caller
// must not use s again.
func Evolve(s State, e Event) State {
	switch e := e.(type) {
	case Opened:
		s.Phase, s.CartID, s.CustomerID, s.Currency, s.Country = PhaseOpen, e.CartID, e.CustomerID, e.Currency, e.Country
		s.Channel = e.Channel
		s.AbsoluteTotal, s.Opening = unit.Zero(e.Currency), e.Opening
		s.setLines(e.Lines)
	case LineAdded:
		s.Lines = append(s.Lines, e.Line)
		s.TextBytes += textBytes(e.Line)
		s.addToTotals(e.Line, e.Quantity)
		s.LastLine = e.Number
	case QuantityChanged:
		if i, found := s.line(e.Line); found {
			s.addToTotals(s.Lines[i], e.Quantity-s.Lines[i].Quantity)
			s.Lines[i].Quantity = e.Quantity
		}
	case LineRemoved:
		if i, found := s.line(e.Line); found {
			s.TextBytes -= textBytes(s.Lines[i])
			s.addToTotals(s.Lines[i], -s.Lines[i].Quantity)
			s.Lines = slices.Delete(s.Lines, i, i+1)
		}
		s.Discounts = slices.DeleteFunc(s.Discounts, func(d pricing.Manual) bool { return d.Line == e.Line })
	case CustomerChanged:
		s.FirstRecipient = new(s.openedFor())
		if s.CustomerID != "" {
			// They are of the customer before, so the next one must not see them.
			s.Details, s.TaxStatus = nil, nil
		}
		s.CustomerID = e.CustomerID
	case CountryChanged:
		s.FirstRecipient = new(s.openedFor())
		s.Country = e.Country
	case DetailsSet:
		s.Details = nil
		if !e.Details.Empty() {
			s.Details = &e.Details
		}
	case CouponAdded, CouponRemoved, ShippingChosen, DiscountGiven, DiscountWithdrawn, TaxStatusSet:
		s.evolvePricing(e)
	case CheckoutStarted:
		s.Phase, s.OrderID = Completing, e.OrderID
	case CheckoutRefused:
		s.Phase, s.OrderID = PhaseOpen, ""
		if len(e.Lines) > 0 { // the cart lost its lines at CheckedOut
			s.setLines(e.Lines)
		}
		s.noteRefused(e.OrderID)
	case CheckedOut:
		// No rule asks for the lines any more.
		s.Phase, s.Lines, s.TextBytes, s.Units, s.AbsoluteTotal = Completed, nil, 0, 0, unit.Zero(s.Currency)
	case Abandoned:
		s.Phase = PhaseAbandoned
	case Expired:
		s.Phase = PhaseExpired
	case MergedInto:
		s.Phase, s.Merge = PhaseMerged, e
	case MergeRefused:
		s.Phase = PhaseOpen
	case MergedFrom:
		s.TookMerge = true // the next events add the lines
	case MergeDeclined:
		// Nothing changes.
	}
	return s
}

// evolvePricing notes what changes the price of the cart besides its lines.
func (s *State) evolvePricing(e Event) {
	switch e := e.(type) { //nolint:gochecksumtype // Evolve has the others
	case CouponAdded:
		s.Coupons = append(s.Coupons, e.Code)
	case CouponRemoved:
		s.Coupons = slices.DeleteFunc(s.Coupons, func(code string) bool { return code == e.Code })
	case ShippingChosen:
		s.Shipping = e.Method
	case DiscountGiven:
		if i := s.discount(e.Discount.ID); i >= 0 {
			s.Discounts[i] = e.Discount
		} else {
			s.Discounts = append(s.Discounts, e.Discount)
		}
	case DiscountWithdrawn:
		s.Discounts = slices.DeleteFunc(s.Discounts, func(d pricing.Manual) bool { return d.ID == e.ID })
	case TaxStatusSet:
		s.TaxStatus = e.Status
	}
}

// noteRefused notes an order id whose checkout was refused.
func (s *State) noteRefused(id unit.OrderID) {
	s.Refused = append(s.Refused, id)
	excess := len(s.Refused) - maxRefused
	if excess <= 0 {
		return
	}
	for _, id := range s.Refused[:excess] {
		s.Forgotten.Add(string(id))
	}
	s.Refused = slices.Delete(s.Refused, 0, excess)
}

// addToTotals adds units of a line to the sums.
func (s *State) addToTotals(l Line, more unit.Quantity) {
	s.Units += more
	// Amounts are added and not Money, because Money.Plus panics if currencies differ, and a
	// fold takes whatever the log holds. Commands add lines in the cart's currency only.
	s.AbsoluteTotal.Amount = s.AbsoluteTotal.Amount.Add(l.Price.Abs().Times(more).Amount)
}

// setLines gives lines to a cart that has none.
func (s *State) setLines(lines []Line) {
	s.Lines = slices.Clone(lines)
	for _, line := range lines {
		s.TextBytes += textBytes(line)
		s.addToTotals(line, line.Quantity)
		s.LastLine = max(s.LastLine, line.Number)
	}
}

// textBytes is what the texts of a line take in JSON. The SKU counts twice, because the order
// names it again in its holdings.
func textBytes(l Line) int {
	return 2*jsonBytes(string(l.SKU)) + jsonBytes(l.SKUText) + jsonBytes(l.Title)
}

func jsonBytes(text string) int {
	n := len(text)
	for i := range len(text) {
		if c := text[i]; c < ' ' || c == '"' || c == '\\' {
			n += len(`\u0000`) - 1
		}
	}
	return n
}

// OwnedBy tells whether the cart belongs to an owner: to its customer, or to the holder of the
// cart if it has no customer. So a guest loses the cart when it is given to a customer.
func (s State) OwnedBy(owner unit.Owner) bool {
	return owner != "" && cmp.Or(s.CustomerID.Owner(), s.CartID.Owner()) == owner
}

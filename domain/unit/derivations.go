package unit

// This file lists every kind of derived id. The name of a kind and the order of its parts are
// storage format, because ids in old logs depend on them. A new kind needs a row in
// docs/derived-ids.md. It also needs a case in the test that asks for each kind twice, from
// two owners. Both are tested.

// The command ids of what callers ask for.
var (
	RequestCommand = derivation("request", "who asks", "idempotency key")
	// StepCommand is a further command of the same request.
	StepCommand = derivation("step", "step", "command id")
	// NextAttemptCommand begins a checkout or a merge again after that of the same request was
	// refused.
	NextAttemptCommand = derivation("checkout again", "command id")
	ImportCommand      = derivation("import", "invoice or step", "step or SKU...")
	// ProcessID names work that spans aggregates, for operators.
	ProcessID    = derivation("process", "kind", "subject", "step")
	TimerCommand = derivation("timer", "kind", "target", "item", "due at", "round")
)

// The ids of things that a request creates without an id from the caller.
var (
	NewCart        = derivation("cart", "command id")
	NewOrder       = derivation("order", "cart id", "command id")
	NewReturn      = derivation("return", "command id")
	NewTransaction = derivation("transaction", "command id")
	NewRefund      = derivation("refund", "command id")
	// ProviderTransaction is the id of a transaction that its provider has a number for. A client
	// and the provider report it under the same id.
	ProviderTransaction = derivation("provider transaction", "provider", "reference", "type")
	// NewOrderRefund is a refund that was asked for on an order.
	NewOrderRefund  = derivation("order refund", "command id")
	NewCredit       = derivation("credit", "command id")
	NewCharge       = derivation("charge", "command id")
	NewShipment     = derivation("shipment", "command id")
	NewTransfer     = derivation("transfer", "command id")
	NewDeallocation = derivation("deallocation", "command id")
	NewCustomer     = derivation("customer", "command id")
	NewAddress      = derivation("address", "command id")
	NewWishList     = derivation("wish list", "command id")
	NewNote         = derivation("note", "command id")
)

// SubjectStream is the name of the stream of a customer or a guest. It does not show the customer.
var SubjectStream = derivation("subject", "owner")

// The stream of a payment, whose name does not show the provider's number, and the command by which
// an order claims it.
var (
	PaymentStream = derivation("payment", "provider", "reference")
	ClaimPayment  = derivation("claim payment", "order id", "stream")
)

// The names of streams about promotions. They show neither a customer nor a code.
var (
	CustomerUses = derivation("customer uses", "promotion", "customer key")
	FirstOrder   = derivation("first order", "customer key")
	CouponCode   = derivation("coupon", "folded code")
)

// CreditAccount is the id of a customer's credit account in a currency.
var CreditAccount = derivation("credit account", "customer id", "currency")

// CartOpening is not an id: it tells which lines a cart was opened with.
var CartOpening = derivation("cart opening", "lines...")

// Reservations.
var (
	// OrderReservation is the reservation of a checkout that an older program began.
	OrderReservation    = derivation("reservation", "order id", "SKU", "location")
	DirectReservation   = derivation("direct reservation", "order id", "SKU", "location")
	CheckoutReservation = derivation("checkout reservation", "cart id", "order id", "SKU", "location")
	RetryReservation    = derivation("reservation", "order id", "SKU", "location", "the word retry", "attempt")
)

// Command ids of a checkout.
var (
	CheckoutReserve  = derivation("checkout reserve", "cart id", "order id", "SKU", "location", "quantity")
	CheckoutOutcome  = derivation("checkout outcome", "cart id", "order id")
	CheckoutWithdraw = derivation("checkout withdraw", "cart id", "order id")
	CheckoutPlace    = derivation("checkout place", "cart id", "order id")
	CheckoutClaim    = derivation("checkout claim", "cart id", "order id")
	CheckoutRelease  = derivation("checkout release", "cart id", "order id", "SKU", "location")
)

// Command ids of what a checkout and its order do with a hold: one use of a promotion, or money of
// a gift card. The holder is the stream that has the hold.
var (
	HoldTake    = derivation("hold take", "cart id", "order id", "holder")
	HoldCommit  = derivation("hold commit", "order id", "holder")
	HoldRelease = derivation("hold release", "cart id", "order id", "holder")
	HoldReturn  = derivation("hold return", "order id", "holder")
	// HoldPayment is the id of the transaction with which an order records what a gift card has
	// paid.
	HoldPayment = derivation("hold payment", "order id", "holder")
)

// GiftCardBack is the id of what happens when the purchase of a gift card is undone: the charge for
// the card, the credit of what was left of it, and the commands that end it.
var GiftCardBack = derivation("gift card back", "order id", "line", "unit")

// CreditBack is the command id with which money comes back to a gift card.
var CreditBack = derivation("credit back", "order id", "transaction id")

// IssueGiftCard is the command id with which a gift card that was sold is issued.
var IssueGiftCard = derivation("issue gift card", "order id", "line", "unit")

// Command ids of a merge of one cart into another.
var (
	MergeOutcome = derivation("merge outcome", "cart id", "other cart id", "attempt")
	MergeRefuse  = derivation("merge refuse", "cart id", "other cart id", "attempt")
)

// Command ids of a merge of one account into another.
var (
	AccountMergeOutcome = derivation("account merge outcome", "customer id", "other customer id", "attempt")
	AccountMergeRefuse  = derivation("account merge refuse", "customer id", "other customer id", "attempt")
)

// The command ids of an order's fulfilment, and of what it asks of stock.
var (
	FulfilOrder    = derivation("fulfil", "order id", "commands")
	MoveReserve    = derivation("reserve", "order id", "step", "SKU", "location")
	MoveCommit     = derivation("commit", "order id", "step", "SKU", "location")
	MoveCommitOver = derivation("commit again", "order id", "step", "SKU", "location")
	MoveRelease    = derivation("release", "order id", "step", "SKU", "location")
	MoveExtend     = derivation("extend", "order id", "step", "SKU", "location")
	MoveDeallocate = derivation("deallocate", "order id", "step", "SKU", "location")
	MoveShip       = derivation("ship", "order id", "step", "SKU", "location")
	MoveShipForced = derivation("ship by force", "order id", "step", "SKU", "location")
	// MoveParcelBack asks stock to take goods of a parcel back. ParcelReservation is the id under
	// which units of it are allocated to their order again.
	MoveParcelBack    = derivation("take parcel back", "order id", "step", "SKU", "location", "disposition")
	ParcelReservation = derivation("reservation of parcel", "order id", "parcel", "SKU", "location")
	// ParcelCredit is the id of a credit for units of a parcel that did not reach its buyer, and
	// ParcelRefund that of the refund that it leads to.
	ParcelCredit = derivation("credit of parcel", "order id", "parcel", "number")
	ParcelRefund = derivation("refund of parcel", "order id", "credit id")
	// RemedyTransaction is the id of a void or refund.
	RemedyTransaction = derivation("remedy", "order id", "transaction id")
	// EndRefund is the id of the refund that an order's end, or money that comes after it, leads
	// to.
	EndRefund = derivation("refund of ended order", "order id", "cause", "transaction id")
	// SubmitRefund and SettleRefund are the commands that record an attempt of a part of a refund,
	// and its end.
	SubmitRefund = derivation("submit refund", "order id", "part id", "attempt")
	SettleRefund = derivation("settle refund", "order id", "part id", "attempt", "state")
	// ReportTransaction is the command that records what a provider has reported of a transaction.
	ReportTransaction = derivation("report transaction", "order id", "transaction id", "state")
	// RefundPart is the id of a part of a refund that somebody asked for.
	RefundPart = derivation("refund part", "order id", "refund id", "transaction id")
)

// The command ids of what follows an order to the customer who has taken it over.
var (
	FollowCart   = derivation("cart follows order", "order id", "cart id")
	FollowReturn = derivation("return follows order", "order id", "return id")
)

// The command ids of a return, and of what it asks of its orders and of stock.
var (
	ReturnOutcome = derivation("comeback", "return id", "what is settled")
	ReturnAdmit   = derivation("admit return", "return id", "order id")
	ReturnRelease = derivation("release return", "return id", "order id")
	ReturnRefund  = derivation("record return refund", "return id", "order id", "transaction id")
	ReturnCredit  = derivation("credit of return", "return id", "step")
	CreditReturn  = derivation("credit return", "return id", "order id", "step")
	// RefuseRefund makes an order's refusal of a return's refund final.
	RefuseRefund = derivation("refuse return refund", "return id", "order id", "transaction id", "amount")
	ReturnSettle = derivation("settle return", "return id", "receipt")
	MoveTakeBack = derivation("take back", "return id", "receipt", "SKU", "location", "condition")
)

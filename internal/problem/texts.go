package problem

import "daybook/domain/unit"

// freeTexts are the members of bodies that are free texts, by their names. The domain has the same
// rules, but it refuses only one text at a time, and without its place in the body.
var freeTexts = map[string]func(text string, maxRunes int) string{
	"carrier": unit.LineFault, "country": unit.LineFault, "document": unit.LineFault,
	"provider": unit.LineFault, "reference": unit.LineFault, "title": unit.LineFault,
	"tracking": unit.LineFault, "note": unit.TextFault, "reason": unit.TextFault, "text": unit.TextFault,
	"company": unit.LineFault, "postcode": unit.LineFault, "city": unit.LineFault, "buyer_reference": unit.LineFault,
	"delivery_notes": unit.TextFault, "gift_message": unit.TextFault,
}

// TextFault says what is wrong with the characters of a member of a body. It returns "" if nothing
// is wrong, or if no member of this name is a free text. It does not look at the length.
func TextFault(member, text string) string {
	check := freeTexts[member]
	if check == nil {
		return ""
	}
	return check(text, len(text))
}

// forms are the members of bodies whose texts are read by a parser, by their names. The commands
// call these parsers too, or stricter ones, but only after the whole body was decoded.
var forms = map[string]func(text string) error{
	"amount": parses(unit.ParseAmount), "price": parses(unit.ParseAmount), "currency": parses(unit.ParseOldCurrency),
	"sku": parses(unit.ParseSKU), "location": parses(unit.ParseLocationID), "locations": parses(unit.ParseLocationID),
	"cart_id": parses(unit.ParseCartID), "customer_id": parses(unit.ParseCustomerID), "order_id": parses(unit.ParseOrderID),
	"return_id": parses(unit.ParseReturnID), "shipment_id": parses(unit.ParseShipmentID), "transfer_id": parses(unit.ParseTransferID),
	"transaction_id": parses(unit.ParseTransactionID), "parent": parses(unit.ParseTransactionID),
}

func parses[T any](parse func(string) (T, error)) func(string) error {
	return func(text string) error {
		_, err := parse(text)
		return err
	}
}

// FormFault says why a text is not of the form that a member of a body has. It returns "" if
// nothing is wrong, if the text is empty, or if no member of this name has a form.
func FormFault(member, text string) string {
	parse := forms[member]
	if parse == nil || text == "" {
		return ""
	}
	if err := parse(text); err != nil {
		return err.Error()
	}
	return ""
}

// TextPattern is the pattern that the document shows for a member, or "" if no member of this name
// is a free text. It forbids control characters. TextFault also forbids marks that change the
// direction of the text, line separators, and texts of which nothing can be seen.
func TextPattern(member string) string {
	switch member {
	case "note", "reason", "text", "delivery_notes", "gift_message":
		return `^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$`
	}
	if freeTexts[member] == nil {
		return ""
	}
	return `^[^\x00-\x1f\x7f-\x9f]*$`
}

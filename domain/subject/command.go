package subject

import "daybook/domain/unit"

// Command is what can be asked of a subject.
//
//sumtype:decl
type Command interface{ subjectCommand() }

// Erase erases the personal texts of a subject. Who sends it has looked up what belongs to the
// subject. If nothing new is to be erased, it changes nothing.
type Erase struct {
	Erased Erased
	// Open are the subject's orders that are not finished. While there are any, nothing is erased.
	Open []unit.OrderID
	// HasCustomer means that the guest's cart, or its order, belongs to a customer. Then nothing is
	// erased, because the texts in it are the customer's.
	HasCustomer bool
}

func (Erase) subjectCommand() {}

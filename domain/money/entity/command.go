package entity

import "daybook/domain/money/pricing"

// Command is what can be asked of a legal entity.
//
//sumtype:decl
type Command interface{ entityCommand() }

// Define makes an entity, or changes one that exists.
type Define struct {
	ID string
	Terms
	Rows []pricing.TaxRow
}

// End ends an entity for good.
type End struct {
	Reason string
}

func (Define) entityCommand() {}
func (End) entityCommand()    {}

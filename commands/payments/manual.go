package payments

import "context"

// ManualName is the name of the provider that is a person.
const ManualName = "manual"

// Manual is the provider that is a person, who takes and gives cash or makes transfers. All its
// instructions are pending until somebody records how they ended.
type Manual struct{}

func (Manual) waits() Outcome { return Outcome{State: Pending} }

// Capture implements Provider.
func (m Manual) Capture(context.Context, Instruction) Outcome { return m.waits() }

// Void implements Provider.
func (m Manual) Void(context.Context, Instruction) Outcome { return m.waits() }

// Refund implements Provider.
func (m Manual) Refund(context.Context, Instruction) Outcome { return m.waits() }

// LookUp implements Provider. Only the person knows more.
func (m Manual) LookUp(context.Context, Instruction) Outcome { return m.waits() }

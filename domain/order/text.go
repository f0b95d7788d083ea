package order

import (
	"cmp"

	"daybook/domain/unit"
)

// texts refuses a command with a text that cannot be recorded. It checks the texts of
// callers. It does not check the texts that processes pass on (Place, RecordReturnRefund,
// FailAllocation): these were checked when they were first given, or come from an older
// program. A refusal of those would stop the order.
func (s State) texts(cmd Command) error {
	switch cmd := cmd.(type) {
	case Hold:
		return note("reason", cmd.Reason)
	case Cancel:
		return note("reason", cmd.Reason)
	case CancelLines:
		return note("reason", cmd.Reason)
	case RecordTransaction:
		if !s.knowsProvider(cmd.Provider) {
			if err := line("provider", cmd.Provider); err != nil {
				return err
			}
		}
		if err := cmp.Or(line("payment", cmd.Payment), note("reason", cmd.Reason)); err != nil {
			return err
		}
		return line("reference", cmd.Reference)
	case SettleTransaction:
		return line("reference", cmd.Reference)
	case RequestRefund:
		return note("reason", cmd.Reason)
	case SettleRefund:
		return cmp.Or(line("reference", cmd.Reference), line("code", cmd.Code))
	case ExplainRefund:
		return note("reason", cmd.Reason)
	case WriteOff:
		return note("reason", cmd.Reason)
	case Extend:
		return note("reason", cmd.Reason)
	case Credit:
		return note("reason", cmd.Reason)
	case AddCharge:
		return note("reason", cmd.Reason)
	case ReportParcel:
		return cmp.Or(note("reason", cmd.Reason), note("claim", cmd.Claim))
	case TakeParcelBack:
		return note("reason", cmd.Reason)
	case ResendParcel:
		return note("reason", cmd.Reason)
	case CreditParcel:
		return note("reason", cmd.Reason)
	case Ship:
		if err := line("carrier", cmd.Carrier); err != nil {
			return err
		}
		return line("tracking", cmd.Tracking)
	case Claim, Place, Confirm, ReleaseHold, Expire, Deliver, Complete, SettleStock, FailAllocation, RetryAllocation,
		RecoverAllocation, AdmitReturn, ReleaseReturn, RecordReturnRefund, RefuseReturnRefund, SubmitRefund, SettleGiftCard, TakeOver, Archive, Unarchive:
	}
	return nil
}

// knowsProvider tells whether a transaction of the order has this provider. A refund that the
// order's process asks for repeats the provider's name.
func (s State) knowsProvider(name string) bool {
	for _, t := range s.Transactions {
		if t.Provider == name {
			return true
		}
	}
	return false
}

func note(field, text string) error {
	return textFault(field, unit.TextFault(text, unit.MaxNote), unit.MaxNote)
}

func line(field, text string) error {
	return textFault(field, unit.LineFault(text, unit.MaxReference), unit.MaxReference)
}

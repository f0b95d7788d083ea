package order

// Decide applies the rules to a command. The result is events, nothing (it is already so) or a
// *rule.Rejection. It never changes s.
//
// Texts are checked last. So a command that repeats what an older program has recorded still
// changes nothing.
func Decide(cmd Command, s State) ([]Event, error) {
	events, err := decide(cmd, s)
	if err == nil && len(events) > 0 {
		err = s.texts(cmd)
	}
	if err != nil {
		return nil, err
	}
	return events, nil
}

func decide(cmd Command, s State) ([]Event, error) {
	if cmd, ok := cmd.(Claim); ok {
		return claim(cmd, s)
	}
	if cmd, ok := cmd.(Place); ok {
		return place(cmd, s)
	}
	if !s.Exists() {
		return nil, ErrNotFound
	}
	switch cmd := cmd.(type) {
	case Claim, Place: // answered above
	case Confirm:
		return confirm(cmd, s)
	case Hold:
		return hold(cmd, s)
	case ReleaseHold:
		return releaseHold(cmd, s)
	case CancelLines:
		return cancelLines(cmd, s)
	case Cancel:
		return cancel(cmd, s)
	case Expire:
		return expire(cmd, s)
	case RecordTransaction:
		return recordTransaction(cmd, s)
	case SettleTransaction:
		return settleTransaction(cmd, s)
	case Ship:
		return ship(cmd, s)
	case Deliver:
		return deliver(cmd, s)
	case ReportParcel, TakeParcelBack, ResendParcel, CreditParcel:
		return decideParcel(cmd, s)
	case Complete:
		return complete(s)
	case SettleStock:
		return settleStock(cmd, s)
	case FailAllocation:
		return failAllocation(cmd, s)
	case RetryAllocation:
		return retryAllocation(cmd, s)
	case RecoverAllocation:
		return recoverAllocation(s)
	case AdmitReturn:
		return admitReturn(cmd, s)
	case ReleaseReturn:
		return releaseReturn(cmd, s)
	case RecordReturnRefund:
		return recordReturnRefund(cmd, s)
	case RefuseReturnRefund, RequestRefund, SubmitRefund, SettleRefund, ExplainRefund, Credit, WriteOff, Extend, AddCharge, SettleGiftCard:
		return decideMoney(cmd, s)
	case TakeOver:
		return takeOver(cmd, s)
	case Archive:
		return archive(s)
	case Unarchive:
		return unarchive(s)
	}
	panic("order: unknown command") // a programmer's error, never input
}

// decideMoney decides about refunds, credits and the like.
func decideMoney(cmd Command, s State) ([]Event, error) {
	switch cmd := any(cmd).(type) {
	case RefuseReturnRefund:
		return refuseReturnRefund(cmd, s)
	case RequestRefund:
		return requestRefund(cmd, s)
	case SubmitRefund:
		return submitRefund(cmd, s)
	case SettleRefund:
		return settleRefund(cmd, s)
	case ExplainRefund:
		return explainRefund(cmd, s)
	case Credit:
		return credit(cmd, s)
	case WriteOff:
		return writeOff(cmd, s)
	case Extend:
		return extend(cmd, s)
	case AddCharge:
		return addCharge(cmd, s)
	case SettleGiftCard:
		return settleGiftCard(cmd, s)
	}
	panic("order: unknown command") // a programmer's error, never input
}

package returns

import (
	"strconv"

	"daybook/domain/unit"
)

// texts refuses a command with a text that cannot be recorded. It does not look at
// the refusal of an order (RefuseAdmission, WithdrawRefund), which a process passes on.
func texts(cmd Command) error {
	switch cmd := cmd.(type) {
	case Request:
		return requestTexts(cmd)
	case NoteCredit:
		return creditTexts(cmd)
	case Decline:
		return noteText("reason", cmd.Reason)
	case Cancel:
		return noteText("reason", cmd.Reason)
	case RecordRefund:
		if err := lineText("provider", cmd.Provider, unit.MaxReference); err != nil {
			return err
		}
		return lineText("reference", cmd.Reference, unit.MaxReference)
	case Admit, RefuseAdmission, Approve, Receive, Close, TakeOver, SettleStock, SettleOrders, WithdrawRefund:
	}
	return nil
}

// requestTexts leaves out the titles: they come from the order or the catalogue.
func requestTexts(cmd Request) error {
	if err := heading(cmd.Reference, cmd.Country, cmd.Reason); err != nil {
		return err
	}
	for i, l := range cmd.Lines {
		if err := lineText("lines/"+strconv.Itoa(i)+"/sku_text", l.SKUText, unit.MaxReference); err != nil {
			return err
		}
	}
	return nil
}

func creditTexts(cmd NoteCredit) error {
	if err := heading(cmd.Reference, cmd.Country, cmd.Reason); err != nil {
		return err
	}
	for i, l := range cmd.Lines {
		at := "lines/" + strconv.Itoa(i)
		if err := lineText(at+"/sku_text", l.SKUText, unit.MaxReference); err != nil {
			return err
		}
		if err := lineText(at+"/title", l.Title, unit.MaxTitle); err != nil {
			return err
		}
	}
	return nil
}

func heading(reference, country, reason string) error {
	if err := lineText("reference", reference, unit.MaxReference); err != nil {
		return err
	}
	if err := lineText("country", country, unit.MaxReference); err != nil {
		return err
	}
	return noteText("reason", reason)
}

func noteText(field, text string) error {
	return textFault(field, unit.TextFault(text, unit.MaxNote), unit.MaxNote)
}

func lineText(field, text string, limit int) error {
	return textFault(field, unit.LineFault(text, limit), limit)
}

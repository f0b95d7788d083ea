package fulfilment

import (
	"strconv"
	"time"

	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/domain/unit"
)

// Receipt is an arrival of returned goods that stock has not taken in yet. Its moves do not
// depend on each other. When all are made, the driver sends SettleStock with the receipt's
// number to the return.
type Receipt struct {
	Number int
	Moves  []Move
}

// Receipts is the work that a return has open with stock. Restocked goods become available,
// and damaged goods become unavailable. Goods that were lost, wrong or written off move no
// stock.
func Receipts(s returns.State) []Receipt {
	receipts := make([]Receipt, 0, len(s.Unsettled))
	for _, open := range s.Unsettled {
		receipt := Receipt{Number: open.Receipt}
		for _, m := range open.Moves {
			receipt.Moves = append(receipt.Moves, takeBack(s.Requested, open.Receipt, m))
		}
		receipts = append(receipts, receipt)
	}
	return receipts
}

// ReceiptMoves returns the movements that a receipt would ask of stock, or the return's
// refusal. Before it sends the command, a driver tries the movements on stock's present
// state. So goods that would exceed a stock's limit are refused while that is possible.
func ReceiptMoves(s returns.State, cmd returns.Receive) ([]Move, error) {
	events, err := returns.Decide(cmd, s)
	if err != nil {
		return nil, err
	}
	after, number := s.Clone(), cmd.Receipt
	for _, e := range events {
		if received, ok := e.(returns.Received); ok {
			number = received.Receipt
		}
		after = returns.Evolve(after, e)
	}
	for _, receipt := range Receipts(after) {
		if receipt.Number == number {
			return receipt.Moves, nil
		}
	}
	return nil, nil
}

func takeBack(back returns.Requested, receipt int, m returns.Move) Move {
	condition := stock.Available
	if m.Disposition == returns.Damaged {
		condition = stock.Damaged
	}
	key, orderID := stock.Key{SKU: m.SKU, Location: m.Location}, ownOrder(back, m.SKU)
	return Move{
		Key: key,
		ID:  unit.MoveTakeBack.Of(string(back.ReturnID), strconv.Itoa(receipt), string(m.SKU), string(m.Location), string(condition)),
		command: func(now time.Time) stock.Command {
			return stock.TakeBack{
				At:       stock.At{Key: key, Now: now},
				ReturnID: back.ReturnID, Receipt: receipt, OrderID: orderID, Quantity: m.Quantity, Condition: condition,
			}
		},
	}
}

// ownOrder is the order to which all returned units of a SKU belong. It is empty if they belong to
// several orders, or if no order is known.
func ownOrder(back returns.Requested, sku unit.SKU) unit.OrderID {
	id := back.OrderID
	for _, l := range back.Lines {
		if l.SKU != sku {
			continue
		}
		for _, link := range l.Links {
			if id != "" && id != link.OrderID {
				return ""
			}
			id = link.OrderID
		}
	}
	return id
}

package stock

import "testing"

func TestEveryTextIsChecked(t *testing.T) {
	stocks.EveryTextIsChecked(t, map[string]string{
		"Reserve.Override":  "is not recorded: a reservation takes nothing of an order",
		"Commit.Override":   "is not recorded: a commitment cannot be forced",
		"Allocate.Override": "is not recorded: an allocation cannot be forced",
	}, reservationRows(), promiseRows(), movementRows(), policyRows(), limitRows(), originRows())
}

func TestComparedTextsSaySo(t *testing.T) {
	if n := stocks.ComparedTextsSaySo(t, reservationRows(), promiseRows(), movementRows(), policyRows(), limitRows(), originRows()); n < 5 {
		t.Errorf("%d texts were changed", n)
	}
}

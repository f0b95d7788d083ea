package importer

import (
	"testing"

	"daybook/domain/stock"
	"daybook/domain/unit"
)

func TestReasonsFromRealNotes(t *testing.T) {
	for _, c := range []struct {
		note   string
		change unit.Quantity
		want   stock.Reason
	}{
		{"", -10, stock.Correction},
		{"   ", 4, stock.Correction},
		{"damaged", -1, stock.DamagedGoods},
		{"Damages/samples", -1, stock.DamagedGoods},
		{"????damages????", -1, stock.DamagedGoods},
		{"dagamed", -1, stock.DamagedGoods},
		{"wet/rusty", -1, stock.DamagedGoods},
		{"printing smudges/thrown away", -9600, stock.DamagedGoods},
		{"Unsaleable, destroyed.", -4830, stock.DamagedGoods},
		{"thrown away-can't sell", -1, stock.DamagedGoods},
		{"check", -13, stock.CycleCount},
		{"stock check", -13, stock.CycleCount},
		{"counted", -13, stock.CycleCount},
		{"found", 5, stock.CycleCount},
		{"wrongly marked. 23343 in box", -3100, stock.Correction},
		{"reverse 21/5/10 adjustment", -1, stock.Correction},
		{"wrong barcode (22467)", -1, stock.Correction},
		{"came coded as 20713", 3100, stock.Correction},
		{"incorrectly credited C550456 see 47", 1, stock.Correction},
		{"Missing", -1, stock.Shrinkage},
		{"lost in space", -1, stock.Shrinkage},
		{"can't find", -1, stock.Shrinkage},
		{"mystery! Only ever imported 1800", -1, stock.Shrinkage},
		{"?", -1, stock.Shrinkage},
		{"?? ", -1, stock.Shrinkage},
		{"?", 1, stock.Correction},
		{"show samples", -1, stock.Promotion},
		{"given away", -1, stock.Promotion},
		{"mailout", 1, stock.Promotion},
		{"rcvd be air temp fix for dotcom sit", 1, stock.ReasonReceived},
		{"had been put aside", 1, stock.Restock},
		{"returned", 1, stock.Restock},
		{"sold as set on dotcom", -600, stock.OtherReason},
		{"amazon", 1, stock.OtherReason},
		{"20713", -400, stock.OtherReason},
	} {
		if got := reasonOf(c.note, c.change); got != c.want {
			t.Errorf("%q (%d): got %s, want %s", c.note, c.change, got, c.want)
		}
	}
}

package product

import "testing"

func TestEveryTextIsChecked(t *testing.T) { products.EveryTextIsChecked(t, nil, rows(t)) }

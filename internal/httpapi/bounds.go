package httpapi

import (
	"fmt"
	"math"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// bounded reads a whole number, and tells whether it is within the bounds of its schema.
func bounded(schema *huma.Schema, digits string) (value int64, fits bool) {
	value, err := strconv.ParseInt(digits, 10, 64)
	least, most := limits(schema)
	return value, err == nil && value >= least && value <= most
}

// bounds says which whole numbers a schema allows, such as "does not fit: want a whole number from
// 1 to 9". Every other number gets this message, whether it is 10 or too large for 64 bits.
func bounds(schema *huma.Schema) string {
	least, most := limits(schema)
	return fmt.Sprintf("does not fit: want a whole number from %d to %d", least, most)
}

func limits(schema *huma.Schema) (least, most int64) {
	least, most = math.MinInt64, math.MaxInt64
	if schema.Minimum != nil {
		least = int64(*schema.Minimum)
	}
	if schema.Maximum != nil {
		most = int64(*schema.Maximum)
	}
	return least, most
}

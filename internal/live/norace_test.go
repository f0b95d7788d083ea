//go:build !race

package live_test

// oneOf is which share of the extreme values a run drives: all of them.
const oneOf = 1

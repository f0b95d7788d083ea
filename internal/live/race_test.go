//go:build race

package live_test

// oneOf is which share of the extreme values a run drives: the race detector makes
// all of them take minutes.
const oneOf = 8

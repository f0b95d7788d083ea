//go:build !race

package live_test

// oneOf is 1: a run uses all extreme values.
const shareDivisor = 1

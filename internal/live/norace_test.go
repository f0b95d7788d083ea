//go:build !race

package live_test

// oneOf is 1, so a run uses all extreme values.
const shareDivisor = 1

//go:build race

package live_test

// oneOf is 8, so a run uses one extreme value in eight. All of them would take minutes with the
// race detector.
const oneOf = 8

//go:build race

package live_test

// oneOf is 8: a run uses one extreme value in eight, because all of them take minutes with the
// race detector.
const oneOf = 8

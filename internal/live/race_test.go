//go:build race

package live_test

// shareDivisor is 8, so a run uses one extreme value in eight. All of them would take minutes with
// the race detector.
const shareDivisor = 8

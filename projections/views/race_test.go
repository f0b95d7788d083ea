//go:build race

package views_test

// maxDays keeps the test short where the race detector makes it ten times as
// slow; what races can be found is found in a few days.
const maxDays = 10

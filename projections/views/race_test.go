//go:build race

package views_test

// maxDays keeps the test short, because the race detector makes it ten times as slow. A few days
// are enough to find a race.
const maxDays = 10

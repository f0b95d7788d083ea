//go:build !race

package views_test

// maxDays 0 is the whole year.
const maxDays = 0

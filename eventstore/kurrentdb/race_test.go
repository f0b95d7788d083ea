//go:build race

package kurrentdb_test

func init() { underRace = true }

//go:build !linux

package main

// cpu is known on Linux only.
func (d database) cpu() (seconds float64, known bool) { return 0, false }

// inMemory is known on Linux only.
func inMemory(databaseConfig) bool { return false }

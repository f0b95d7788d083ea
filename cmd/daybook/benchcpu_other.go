//go:build !linux

package main

// cpu is known on Linux only.
func (d database) cpu() (seconds float64, known bool) { return 0, false }

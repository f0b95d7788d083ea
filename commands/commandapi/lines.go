package commandapi

import (
	"strconv"

	"daybook/internal/problem"
)

// unknownLines returns a fault for each of n lines in a body that does not exist. line returns the
// number that the body has at a place, and whether the thing has such a line. Domain rules name
// only the first such line.
func unknownLines(n int, thing string, line func(i int) (number int, exists bool)) (faults []problem.Invalid) {
	for i := range n {
		if number, exists := line(i); !exists && len(faults) < problem.MaxFaults {
			faults = append(faults, problem.InBody(at("/lines", i)+"/line", "the "+thing+" has no line "+strconv.Itoa(number)))
		}
	}
	return faults
}

// withLines adds the faults of lines to a refusal. If the thing could not be read, or has changed
// since and has all lines now, the refusal stays as it is.
func withLines(refusal error, faults []problem.Invalid, failed error) error {
	if failed != nil || len(faults) == 0 {
		return refusal
	}
	return problem.MemberRefused(refusal, faults...)
}

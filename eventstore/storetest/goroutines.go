package storetest

import (
	"context"
	"runtime/pprof"
	"strconv"
	"strings"
)

// labelName names the label that tells which rule started a goroutine.
const labelName = "storetest_rule"

// label marks this goroutine. The goroutines that it starts, and those that they start, have
// the mark, too.
func label(ctx context.Context, rule string) {
	pprof.SetGoroutineLabels(pprof.WithLabels(ctx, pprof.Labels(labelName, rule)))
}

// goroutines counts the goroutines of this rule and of the engine that it opened, and returns
// their stacks. Other tests may run in this process.
func (l *log) goroutines() (count int, stacks string) {
	l.Helper()
	var profile, own strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		l.Fatal(err)
	}
	_, records, _ := strings.Cut(profile.String(), "\n") // after the total
	for record := range strings.SplitSeq(records, "\n\n") {
		if !strings.Contains(record, strconv.Quote(labelName)+":"+strconv.Quote(l.prefix)) {
			continue
		}
		number, _, _ := strings.Cut(record, " ")
		alike, err := strconv.Atoi(number)
		if err != nil {
			l.Fatalf("the goroutine profile has the record %q", record)
		}
		count += alike
		own.WriteString(record + "\n\n")
	}
	if count == 0 {
		l.Fatal("the goroutine profile does not have this test") // so the count would mean nothing
	}
	return count, own.String()
}

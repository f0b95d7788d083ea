package gateway

import (
	"runtime"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
)

// No regular expression takes much memory. The cases are the expressions that took most without the
// limits, and those that take most within them. The test does not run in parallel, because it would
// count the memory of other tests.
func TestExpressionsTakeLittleMemory(t *testing.T) {
	const most = 4 << 20
	filled := func(part string) string { return strings.Repeat(part, maxExpression/len(part)) }
	cases := map[string]struct {
		pattern string
		taken   bool
	}{
		"a usual one":               {`^(order|stock)-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`, true},
		"letters of all scripts":    {`(?i)^[\p{L}\p{N}_-]+$`, true},
		"repeats":                   {filled(`(.{1000})`), false},
		"repeats in repeats":        {`(((x{10}){10}){10}){2}`, false},
		"as many as may be":         {`(((x{10}){10}){9})`, true},
		"classes in a class":        {`(?i)[` + strings.Repeat(`\pL\PN`, 160) + `]`, false},
		"alternatives of classes":   {filled(`\pL|`), false},
		"a class many times":        {`^\PN{990}$`, true},
		"wide ranges":               {`(?i)[` + strings.Repeat("B-\U0001e942", 100) + `]`, false},
		"wide ranges, escaped":      {`(?i)[` + strings.Repeat(`B-\x{1e942}`, 80) + `]`, false},
		"as wide as may be":         {"(?i)[B-\U0001e942A-\U0001e941C-\U0001e940E-\U0001e940]", true},
		"parentheses":               {strings.Repeat(`(`, 300) + `x` + strings.Repeat(`)*`, 300), true},
		"optional classes, at once": {`^(?:` + strings.Repeat(`\PN?b?`, maxClasses) + `){50}$`, true},
		"too long":                  {filled("[x]") + "[x]", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := newFilter(true, &streams.ReadReq_Options_FilterOptions_Expression{Regex: c.pattern}, 0, 0)
			runtime.ReadMemStats(&after)
			if (err == nil) != c.taken {
				t.Errorf("error %v", err)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > most {
				t.Errorf("%d bytes, want at most %d", used, most)
			}
		})
	}
}

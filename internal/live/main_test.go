package live_test

import (
	"os"
	"testing"

	"daybook/internal/racetest"
)

// The race detector runs only these tests, because only in these do several goroutines of this
// project use the same data.
func TestMain(m *testing.M) {
	os.Exit(racetest.Main(m,
		TestOddEventsAreShown,
		TestAPositionBeyondTheEndIsRefusedOnEveryEngine,
		TestANodeThatIsBehindRefusesNoReader,
	))
}

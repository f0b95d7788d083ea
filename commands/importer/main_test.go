package importer

import (
	"os"
	"testing"

	"daybook/internal/racetest"
)

// The race detector runs only these tests, because only in these do several goroutines of this
// project use the same data.
func TestMain(m *testing.M) {
	os.Exit(racetest.Main(m,
		TestManyWorkersDoWhatOneDoes,
		TestKilledWithManyWorkersItEndsTheSame,
		TestStoppedAndContinuedItEndsTheSame,
		TestWithNothingLeftTurnsAreInOrder,
		TestAnInvoiceThatCannotBeShortNeedNotWait,
		TestGoodsThatMayHaveComeBackAlreadyDoNotCount,
		TestATicketAloneWaitsForThoseBeforeToFinish,
		TestWaitingForATurnEndsWithTheContext,
	))
}

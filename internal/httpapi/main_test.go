package httpapi_test

import (
	"os"
	"testing"

	"daybook/internal/httpapi"
	"daybook/internal/racetest"
)

// The race detector runs only these tests, because only in these do several goroutines of this
// project use the same data.
func TestMain(m *testing.M) {
	os.Exit(racetest.Main(m,
		httpapi.TestBodiesBeyondTheBudgetWaitAndAreRefused,
		httpapi.TestChecksOfBodiesAreBounded,
		httpapi.TestBodiesThatDoNotComeHoldLittle,
		httpapi.TestABodyIsReadInPieces,
		httpapi.TestAPanicIsAnError,
		httpapi.TestLargeAnswersAreCompressed,
		httpapi.TestALiveStreamIsNotCompressed,
		TestManyLargeBodiesAtOnceFitIntoMemory,
		TestWhatNeverChangesIsSentOnce,
		TestBodiesAreCheckedWhileTheDocumentIsMade,
		TestAKeyIsGoodOnEveryNode,
		TestNodesNeverSellMoreThanThereIs,
	))
}

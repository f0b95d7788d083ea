package readapi_test

import (
	"os"
	"testing"

	"daybook/internal/racetest"
	"daybook/readapi"
)

// The race detector runs only these tests, because only in these do several goroutines of this
// project use the same data.
func TestMain(m *testing.M) {
	os.Exit(racetest.Main(m,
		readapi.TestAProbeGetsTheLastResultWithinASecond,
		readapi.TestAWatchChecksWithoutProbes,
		readapi.TestAFailedCheckIsReported,
		readapi.TestAPanicWhileAskingIsAnError,
		readapi.TestAnAnswerIsNotOlderThanItsQuestion,
		TestTheLogIsFollowedLive,
		TestWhatWasWrittenIsRead,
		TestAReadCanAskForAPosition,
		TestReadinessFollowsTheReadModels,
		TestOneClientCannotTakeEveryLiveStream,
		TestAClientHasAllAddressesOfItsNetwork,
		TestARefusedLiveStreamTakesNoPlace,
		TestReadsThatWaitAreBounded,
		TestALiveReaderThatDoesNotReadIsCutOff,
	))
}

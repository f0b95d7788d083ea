package commandapi_test

import (
	"os"
	"testing"

	"daybook/internal/racetest"
)

// The race detector runs only these tests, because only in these do several goroutines of this
// project use the same data.
func TestMain(m *testing.M) {
	os.Exit(racetest.Main(m,
		TestReceiptsAtTheSameMomentAreAllRecorded,
		TestTwoRequestsAtTheSameMomentDoWhatTheyDoOneAfterTheOther,
		TestOnlyARequestThatWasMadeBeforeIsMarkedAsRepeated,
		TestASecondClickGetsTheOrderOfTheFirst,
		TestClicksAtTheSameMomentAreOneOrder,
		TestASecondClickPaysOnceAfterARefusal,
		TestClicksAtTheSameMomentGetTheSameShortage,
		TestARequestThatIsCutOffSaysWhetherSomethingMayBeDone,
		TestAnAnswerIsNotGivenAgainFromAnotherLog,
		TestAProblemNamesNoOrderThatIsNotPlaced,
		TestARetryThatIsShortWaits,
		TestOneKeyAtOnceIsOneRequest,
		TestNothingIsDoneWhileAnswersCannotBeFound,
		TestTwoBuyersRaceForTheLastUnit,
		TestFromCartToDeliveredAndReturned,
	))
}

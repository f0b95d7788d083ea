package commands_test

import (
	"os"
	"testing"

	"daybook/internal/racetest"
)

// The race detector runs only these tests, because only in these do several goroutines of this
// project use the same data.
func TestMain(m *testing.M) {
	os.Exit(racetest.Main(m,
		TestACartBecomesAnOrderThatIsPaidShippedAndReturned,
		TestTwoBuyersOfTheLastUnit,
		TestACrashAnywhereEndsInTheSameState,
		TestMergesAtTheSameMomentKeepTheGoods,
		TestWhatHappensDuringAMergeLosesNothing,
		TestCartsCheckedOutAtOnceUnderOneOrderIDAreOneOrder,
		TestManyReturnsRaceForTheLastUnits,
		TestRacesAboutMoney,
		TestARefundRacesATransactionOfItsOrder,
		TestOneOfTwoReturnsRecordsARefundOfAnOrder,
		TestACheckoutThatCannotSucceedReservesNothingMeanwhile,
		TestStockThatAnotherNodeTookInIsSold,
		TestACartThatChangedMeanwhileIsDecidedAgain,
		TestAnOrderIDTakenMeanwhileLeavesTheCartOpen,
		TestWhatShipsWhileAnOrderIsComparedWithStockIsNotLost,
		TestAWholeCheckoutIsOneAppend,
		TestTheAppendOfACheckoutFails,
		TestACheckoutIsOneAppendAfterALostRace,
		TestNothingIsOversoldWhicheverWayIsTaken,
		TestACheckoutWhoseCallerGivesUp,
		TestAFailedAppendPlacesNoOrder,
		TestAFaultOfOneCheckoutDoesNotRefuseAnother,
		TestThePositionOfAResultIsTheLastOne,
		TestCheckoutsThatConcernEachOtherInOneBatch,
	))
}

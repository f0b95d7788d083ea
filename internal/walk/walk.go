// Package walk is a test. It sends random requests to the whole HTTP API of a node whose log is in
// memory or in PostgreSQL. After each step it runs package verify.
//
// Most steps go to a few sales, which are paid by clients and by a provider's messages, and whose
// money goes back in every way (sale_test.go). After each step the walk also adds up the money of
// each order by code of its own (money_test.go): no refund is begun of money that is gone, and
// nothing is kept that an order does not owe without a sign that somebody has to look at it.
//
// It takes the operations and the form of their requests from the OpenAPI document, so it also
// tests a new route without a change here. It draws ids from earlier responses. A step may also
// move the clock, repeat a request, cut a request off after some of its appends, or restart the
// program.
//
// It reports a failure with the seed and with all steps up to it. Then it looks for a shorter list
// of steps that also fails, and reports that one. The seed also chooses what the node consists of.
// Half of the walks have no database and so no reads, because this is faster. One walk in eight has
// its log in PostgreSQL.
//
//	DAYBOOK_WALK=10m       walk for ten minutes (as make walk does); the default is a few short walks
//	DAYBOOK_WALK_SEED=7    walk only this seed
//	DAYBOOK_WALK_TRACE=1   log every response
//
// TestTheWalkFindsPlantedBugs plants faults in the program and checks that the walk finds each.
package walk

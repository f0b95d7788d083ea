// Package walk is a test: it walks at random over the whole HTTP API, with the
// real wiring over a log in memory or in PostgreSQL, and verifies the books
// after each step.
//
// It takes the operations and the form of their requests from the OpenAPI
// document, so a new route is walked without being named here. Ids are drawn
// from those that earlier answers told. Beside requests, a step may move the
// clock, repeat a request, cut a request off in the midst of what it does, or
// start the program anew.
//
// A failure is told with the seed and the steps that led to it, and again with
// fewer steps where that still fails. Seeds choose the wiring, too: half of the
// walks have no database and so no reads, which is quicker, and one in eight has
// the log in PostgreSQL.
//
//	DAYBOOK_WALK=10m       walk for so long (make walk); by default a few short walks
//	DAYBOOK_WALK_SEED=7    walk only this seed
//	DAYBOOK_WALK_TRACE=1   log every answer
//
// TestTheWalkFindsPlantedBugs plants faults and wants each to be found.
package walk

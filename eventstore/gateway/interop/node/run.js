// Runs the scenarios with the client that CLIENT names, eventstore or kurrentdb,
// and prints a line for each. It is started by interop_test.go in the folder
// above, which has a gateway for it.
"use strict";

for (const group of ["append", "read", "delete", "subscribe", "persistent", "connect"]) require(`./${group}`);

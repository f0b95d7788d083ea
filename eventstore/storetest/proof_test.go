package storetest_test

import (
	"maps"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"daybook/eventstore"
	"daybook/eventstore/storetest"
	"daybook/internal/racetest"
)

// brokenEnv makes this test binary run the suite against the broken engine it names.
const brokenEnv = "STORETEST_BROKEN_ENGINE"

// This tests the suite itself. Each engine below breaks one promise, and the suite's rule about
// that promise must fail.
func TestSuiteCatchesBrokenEngines(t *testing.T) {
	racetest.Skip(t, "it tests the suite, not an engine")
	for name, broken := range allBroken() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rule := strings.ReplaceAll(broken.caughtBy, " ", "_")
			run := "^TestBrokenEngine$/^" + regexp.QuoteMeta(rule) + "$"
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run", run)
			child.Env = append(os.Environ(), brokenEnv+"="+name)
			output, err := child.CombinedOutput()
			if err == nil || !strings.Contains(string(output), "--- FAIL: TestBrokenEngine/"+rule) {
				t.Errorf("the rule %q did not fail (%v):\n%s", broken.caughtBy, err, output)
			}
			if strings.Contains(string(output), "panic:") {
				t.Errorf("the suite broke down instead of reporting:\n%s", output)
			}
		})
	}
}

// The suite must not ask for more than the contract says.
func TestSuiteTakesAnEngineLikeEventStoreDB(t *testing.T) {
	storetest.Run(t, func(*testing.T) eventstore.Store { return altered(likeEventStoreDB) }, storetest.LoneTombstones())
}

func allBroken() map[string]brokenEngine {
	all := maps.Clone(brokenEngines)
	maps.Copy(all, brokenMultiAppenders)
	return all
}

func TestBrokenEngine(t *testing.T) {
	broken, chosen := allBroken()[os.Getenv(brokenEnv)]
	if !chosen {
		t.Skip("run by TestSuiteCatchesBrokenEngines, one broken engine at a time")
	}
	storetest.Run(t, func(*testing.T) eventstore.Store { return broken.open() }, storetest.Contiguous(), storetest.LogWideIDs(), storetest.AppendsAll(), storetest.Patience(8*time.Second))
}

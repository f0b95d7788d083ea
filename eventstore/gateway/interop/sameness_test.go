package interop_test

import (
	"bytes"
	"flag"
	"go/format"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the scenarios of the nested module anew")

// toKurrentDB turns the scenarios of the one Go client into those of the other,
// which has the same functions under a few other names.
var toKurrentDB = strings.NewReplacer(
	"package interop_test", "package kurrentdb_test",
	"github.com/EventStore/EventStore-Client-Go/v4/esdb", "github.com/kurrent-io/KurrentDB-Client-Go/kurrentdb",
	"ExpectedRevision", "StreamState",
	"esdb.", "kurrentdb.",
)

// The two Go clients cannot share a binary, but they do share the scenarios:
// those in the nested module are made of those here.
func TestBothGoClientsHaveTheSameScenarios(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"scenarios", "append", "read", "delete", "subscribe", "persistent", "connect",
	} {
		source, err := os.ReadFile(name + "_test.go")
		if err != nil {
			t.Fatal(err)
		}
		made, err := format.Source([]byte("// Code generated from ../" + name + "_test.go by go test -update. DO NOT EDIT.\n\n" +
			toKurrentDB.Replace(string(source))))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		path := filepath.Join("kurrentdb", name+"_test.go")
		if *update {
			if err := os.WriteFile(path, made, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, made) {
			t.Errorf("%s is not made of %s_test.go as it is: run go test ./eventstore/gateway/interop -run SameScenarios -update", path, name)
		}
	}
}

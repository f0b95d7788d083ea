package main

import (
	"bytes"
	"testing"

	"daybook/internal/httpapi/contracttest"
)

// contract compares the answers of servers in tests with the API's document of this program.
var contract = contracttest.Server{Document: apiDocument}

// The command prints the same document that the server gives.
func TestTheDocumentIsPrinted(t *testing.T) {
	t.Parallel()
	var out, complaints bytes.Buffer
	if code := run(t.Context(), []string{"openapi"}, testEnvironment(nil, nil, &out, &complaints)); code != exitOK {
		t.Fatalf("exit code %d: %s", code, complaints.String())
	}
	want, err := apiDocument()
	if err != nil || !bytes.Equal(bytes.TrimSuffix(out.Bytes(), []byte("\n")), want) || !bytes.Contains(want, []byte(`"openapi":"3.1.0"`)) {
		t.Errorf("%.100s, want the document, %v", out.String(), err)
	}
}

package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// moneyPage says what the responses to commands of docs/money.md have. Each amount is in the page,
// too.
var moneyPage = []struct {
	command string   // a part of it
	has     []string // in the response
	amounts []string // in the response and in the page
}{
	{command: "/v1/price-preview", amounts: []string{"3.16", "16.83", "2.92", "1.58", "8.42", "1.46", "5.26", "28.07", "4.87", "53.32", "9.25"}, has: []string{`"rule_id":"ten","applied":true`, `"total":{"amount":"53.32"`}},
	{command: "card-1", has: []string{`"code":"`}, amounts: []string{"20.00"}},
	{command: "/v1/gift-cards?", has: []string{`"items":[`}},
	{command: "/100/tax-status", has: []string{`"tax_status":{"kind":"business"`}},
	{command: "/c-2/quote", has: []string{`"discount_id":"sorry-1"`}, amounts: []string{"17.99"}},
	{command: "/c-1/quote", has: []string{`"hash":"`, `"coupons":["TEN"]`}, amounts: []string{"53.32"}},
	{command: "/c-1/checkout", has: []string{`"payment_state":"paid"`, `"status":"confirmed"`}, amounts: []string{"53.32"}},
	{command: "/o-1/money", has: []string{`"to_return":{"amount":"4.21"`, `"payment_state":"overpaid"`}, amounts: []string{"4.21", "0.73"}},
	{command: "/o-1/refunds", has: []string{`"to_return":{"amount":"0.00"`, `"state":"requested"`}, amounts: []string{"4.21"}},
	{command: "/p-3/credit", has: []string{`"cause":"parcel"`, `"to_return":{"amount":"0.00"`}, amounts: []string{"19.99"}},
	{command: "/p-3/resend", has: []string{`"resent":[{"line":1,"quantity":1}]`, `"fulfillment_state":"unfulfilled"`, `"undelivered":1`}},
}

// docs/money.md: its commands do what the page says.
func TestThePageOnMoneyIsWhatHappens(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("the page calls curl, which is not installed")
	}
	p := newPage(t)
	p.served = func(int, *pageServer) {
		p.write("shop.conf", "silent\nfail-with-body\nheader = \"Authorization: Bearer "+p.adminKey(".daybook")+"\"\nheader = \"Content-Type: application/json\"\n")
	}
	text := document(t, "docs/money.md")
	checked := 0
	p.ran = func(command, output string, code int) {
		if code != exitOK {
			t.Errorf("%s: exit code %d, %s", command, code, output)
		}
		for _, want := range moneyPage {
			if !strings.Contains(command, want.command) {
				continue
			}
			checked++
			for _, part := range slices.Concat(want.has, want.amounts) {
				if !strings.Contains(output, part) {
					t.Errorf("%s: %s is missing in %s", command, part, output)
				}
			}
			for _, amount := range want.amounts {
				if !strings.Contains(text, amount) {
					t.Errorf("the page does not have %s", amount)
				}
			}
		}
	}
	commands := blocksOf(text)
	for _, command := range commands {
		p.run(command, false)
	}
	p.stop()
	if len(commands) < 20 || checked != len(moneyPage) {
		t.Errorf("the page has %d commands, and %d of them are compared with it", len(commands), checked)
	}
}

// blocksOf are the commands in the indented blocks of a page, each with all its lines.
func blocksOf(text string) (commands []string) {
	for line := range strings.Lines(text) {
		code, is := strings.CutPrefix(line, "    ")
		switch {
		case !is:
		case strings.HasPrefix(code, "curl ") || strings.HasPrefix(code, "daybook "):
			commands = append(commands, code)
		case len(commands) > 0:
			commands[len(commands)-1] += code
		}
	}
	for i, command := range commands {
		commands[i] = strings.TrimSpace(command)
	}
	return commands
}

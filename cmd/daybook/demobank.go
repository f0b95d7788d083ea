package main

import (
	"context"
	"crypto/rand"
	"log/slog"
	"time"

	"daybook/commands/payments"
	"daybook/commands/payments/simulated"
	"daybook/internal/simulatedprovider"
)

// demoBank is the demo's provider of payments, which has bad days: it is slow, loses answers, and
// sends its messages late, twice and in any order.
type demoBank struct {
	*servedProvider
	secret    string
	providers payments.Providers
}

const (
	demoBankSeed = 7
	demoBankSlow = 100 * time.Millisecond
	demoBankBad  = 0.2 // the part of the requests with which something goes wrong
)

// openDemoBank serves the provider at a free address of this machine.
func openDemoBank(ctx context.Context, log *slog.Logger) (*demoBank, error) {
	days := simulatedprovider.BadDays(demoBankSeed, demoBankBad, demoBankSlow)
	b := &demoBank{secret: rand.Text()}
	provider := simulatedprovider.New(simulatedprovider.Options{
		Secret: b.secret, Logger: log, Copies: simulatedprovider.Shuffled(demoBankSeed, demoBankSlow), Retry: demoBankSlow,
		Faults: func(operation string) simulatedprovider.Fault {
			fault := days(operation)
			fault.Decline = "" // the customer of the demo has the money
			if fault.Lose == simulatedprovider.LostLate {
				fault.Lose = simulatedprovider.LostLine // the same for the customer, and quicker
			}
			return fault
		},
	})
	var err error
	if b.servedProvider, err = serveProvider(ctx, "the provider of payments", "127.0.0.1:0", provider); err != nil {
		return nil, err
	}
	client, err := simulated.New(b.url, b.secret)
	if err == nil {
		b.providers, err = payments.NewProviders(map[string]payments.Provider{simulated.Name: client})
	}
	if err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

package main

import (
	"daybook/commands/payments"
	"daybook/commands/payments/simulated"
)

// paymentFlags say which provider moves the shop's money. Without --payments, people do.
type paymentFlags struct {
	Payments           string `placeholder:"NAME" from:"DAYBOOK_PAYMENTS" help:"The provider that moves money by itself, beside manual, which is a person: simulated, whose money is not real (see daybook simulated-provider). Needs --payments-url and --payments-secret-file. By default there is none."`
	PaymentsURL        string `name:"payments-url" placeholder:"URL" from:"DAYBOOK_PAYMENTS_URL" help:"Where the provider of --payments answers, such as http://127.0.0.1:8090. Another machine is reached only by https."`
	PaymentsSecretFile string `name:"payments-secret-file" placeholder:"FILE" from:"DAYBOOK_PAYMENTS_SECRET_FILE" help:"The file with the secret that the shop shares with the provider of --payments: at least 16 characters in one line. It signs the provider's webhooks, so whoever has it can report payments that never were."`
}

// providers are the providers of payments that the flags name.
func (f paymentFlags) providers() (payments.Providers, error) {
	if f.Payments == "" {
		for _, other := range []struct{ flag, value string }{
			{"--payments-url", f.PaymentsURL}, {"--payments-secret-file", f.PaymentsSecretFile},
		} {
			if other.value != "" {
				return payments.Providers{}, usagef("%s does nothing without --payments", other.flag)
			}
		}
		return payments.Providers{}, nil
	}
	if f.Payments != simulated.Name {
		return payments.Providers{}, usagef("--payments %q: want %s", f.Payments, simulated.Name)
	}
	if f.PaymentsURL == "" || f.PaymentsSecretFile == "" {
		return payments.Providers{}, usagef("--payments needs --payments-url and --payments-secret-file")
	}
	secret, err := readProviderSecret("--payments-secret-file", f.PaymentsSecretFile)
	if err != nil {
		return payments.Providers{}, err
	}
	client, err := simulated.New(f.PaymentsURL, secret)
	if err != nil {
		return payments.Providers{}, usagef("--payments-url %v", err)
	}
	return payments.NewProviders(map[string]payments.Provider{simulated.Name: client})
}

package payments

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Providers are the providers of a shop, by their names. The name of a provider is a part of the
// identity of each of its payments, so it never changes. The zero value has only Manual.
type Providers struct {
	byName map[string]Provider
}

// NewProviders returns providers by their names, and Manual.
func NewProviders(byName map[string]Provider) (Providers, error) {
	all := make(map[string]Provider)
	for name, provider := range byName {
		if err := CheckName(name); err != nil {
			return Providers{}, err
		}
		if name == ManualName {
			return Providers{}, fmt.Errorf("%q is the name of the provider that is a person", name)
		}
		all[name] = provider
	}
	return Providers{all}, nil
}

// CheckName refuses names that no provider can have. A name is part of an address.
func CheckName(name string) error {
	odd := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }
	if name == "" || len(name) > 32 || strings.ContainsFunc(name, odd) {
		return fmt.Errorf("the name of a provider has 1 to 32 small letters, digits and hyphens, not %q", name)
	}
	return nil
}

// Names are the names of all providers, sorted.
func (p Providers) Names() []string {
	return slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(p.byName)), ManualName)))
}

// Provider finds the provider of this name.
func (p Providers) Provider(name string) (Provider, bool) {
	if name == ManualName {
		return Manual{}, true
	}
	found, known := p.byName[name]
	return found, known
}

// Reporter finds the provider of this name, if it reports by itself.
func (p Providers) Reporter(name string) (Reporter, bool) {
	found, reports := p.byName[name].(Reporter)
	return found, reports
}

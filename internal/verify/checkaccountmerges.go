package verify

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"daybook/domain/customer"
	"daybook/domain/unit"
)

// accountMerge is an attempt to merge the account of a customer into another one.
type accountMerge struct {
	customer unit.CustomerID
	attempt  int
}

func (m accountMerge) String() string {
	return fmt.Sprintf("merge %d of customer %s", m.attempt, m.customer)
}

// accountMerging is what the streams of both accounts say about a merge.
type accountMerging struct {
	begun    bool
	into     unit.CustomerID
	refused  bool // the account is open again
	outcomes []accountOutcome
	last     lastEvent // of those about it
}

// accountOutcome is what an account records about another one that is to be merged into it.
type accountOutcome struct {
	customer unit.CustomerID
	absorbed bool // otherwise declined
}

// foldAccountMerge notes what an event of an account says about merges.
func (b *Book) foldAccountMerge(e *event, id unit.CustomerID, value customer.Event) {
	about := func(of unit.CustomerID, attempt int) *accountMerging {
		m := b.accountMerges[accountMerge{of, attempt}]
		if m == nil {
			m = &accountMerging{}
			b.accountMerges[accountMerge{of, attempt}] = m
		}
		m.last = e.lastEvent()
		return m
	}
	switch value := value.(type) { //nolint:gochecksumtype // the others are not about a merge
	case customer.Merged:
		m := about(id, value.Attempt)
		m.begun, m.into = true, value.Into
	case customer.MergeRefused:
		about(id, value.Attempt).refused = true
	case customer.Absorbed:
		m := about(value.CustomerID, value.Attempt)
		m.outcomes = append(m.outcomes, accountOutcome{id, true})
	case customer.MergeDeclined:
		m := about(value.CustomerID, value.Attempt)
		m.outcomes = append(m.outcomes, accountOutcome{id, false})
	}
}

// checkAccountMerges checks two things. Each account that was merged was taken or declined by the
// other one, once. An account that was declined is open again. A merge may lack its end as long as
// it can be under way.
func (b *Book) checkAccountMerges() *Check {
	check := &Check{Name: "customers: the other account has taken or declined each merged one, once"}
	for _, id := range slices.SortedFunc(maps.Keys(b.accountMerges), func(x, y accountMerge) int {
		return cmp.Or(cmp.Compare(x.customer, y.customer), cmp.Compare(x.attempt, y.attempt))
	}) {
		m := b.accountMerges[id]
		check.Examined++
		absorbed := false
		for _, o := range m.outcomes {
			if m.begun && o.customer != m.into {
				check.differ("%s has an outcome in the account of customer %s, which is not the one that it went into", id, o.customer)
			}
			absorbed = absorbed || o.absorbed
		}
		switch {
		case !m.begun:
			check.differ("%s never began", id)
		case len(m.outcomes) > 1:
			check.differ("%s has %d outcomes", id, len(m.outcomes))
		case absorbed && m.refused:
			check.differ("%s: customer %s has taken the account, and it is open again", id, m.into)
		case len(m.outcomes) == 0 && m.refused:
			check.differ("%s was refused, customer %s did not decline it", id, m.into)
		case b.underWay(m.last):
		case len(m.outcomes) == 0:
			check.differ("%s into customer %s has not ended", id, m.into)
		case !absorbed && !m.refused:
			check.differ("%s was declined, and the account is not open again", id)
		}
	}
	return check
}

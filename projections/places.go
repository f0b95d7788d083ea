package projections

import (
	"context"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/eventstore"
)

// KeptPlaces returns the places in the log of all builds of all views, including those that
// are kept for a roll-back. views say which events the builds want. Call Migrate before.
func KeptPlaces(ctx context.Context, pool *pgxpool.Pool, views []View) ([]eventstore.Place, error) {
	builds, err := queryBuilds(ctx, pool, `ORDER BY view, build`)
	if err != nil {
		return nil, err
	}
	places := make([]eventstore.Place, 0, len(builds))
	for _, b := range builds {
		p := eventstore.Place{Keeper: "the view " + b.view, At: b.position, Anchor: b.anchor}
		if b.state != stateActive {
			p.Keeper = "build " + strconv.Itoa(b.number) + " of " + p.Keeper
		}
		if at := slices.IndexFunc(views, func(v View) bool { return v.Name == b.view && v.matches(b) }); at >= 0 {
			p.Filter = &eventstore.Filter{TypePrefixes: views[at].Claims}
		}
		places = append(places, p)
	}
	return places, nil
}

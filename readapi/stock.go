package readapi

import (
	"context"

	"daybook/domain/access"
	"daybook/internal/resource"
	"daybook/projections/query"
	"daybook/projections/stockview"
)

type listStockInput struct {
	Reading
	Paging
	Counting
	SKU          []string `query:"sku" maxItems:"500" minLength:"1" maxLength:"64"`
	Prefix       string   `query:"sku_prefix" maxLength:"64" doc:"Only items whose SKU begins with this text."`
	Location     []string `query:"location" maxItems:"100" minLength:"1" maxLength:"64"`
	Sort         string   `query:"sort" enum:"sku,-sku,location,-location" default:"sku"`
	BelowReorder bool     `query:"below_reorder_point" doc:"Only items at or below their reorder point."`
	Short        bool     `query:"short" doc:"Only items with promises for which there are no goods."`
}

func (a *api) listStock(ctx context.Context, in *listStockInput) (query.List[resource.Stock], error) {
	locations, err := atLocations(ctx, "query", values(in.Location))
	if err != nil {
		return query.List[resource.Stock]{}, err
	}
	rows, err := stockview.Levels(ctx, a.DB, stockview.Filter{
		SKUs: skus(in.SKU), SKUPrefix: sku(in.Prefix), Locations: locations, BelowReorder: in.BelowReorder, Backordered: in.Short,
	}, a.Now(), in.listing(in.Counting, in.Sort))
	return page(rows, err, stockOf)
}

type skuStockInput struct {
	Reading
	Paging
	Counting
	Location []string `query:"location" maxItems:"100" minLength:"1" maxLength:"64"`
	Sort     string   `query:"sort" enum:"location,-location" default:"location"`
	SKU      string   `path:"sku" maxLength:"64" doc:"Percent-encode blanks and slashes."`
}

func (a *api) skuStock(ctx context.Context, in *skuStockInput) (query.List[resource.Stock], error) {
	locations, err := atLocations(ctx, "query", values(in.Location))
	if err != nil {
		return query.List[resource.Stock]{}, err
	}
	rows, err := stockview.Levels(ctx, a.DB, stockview.Filter{SKUs: []string{sku(in.SKU)}, Locations: locations}, a.Now(), in.listing(in.Counting, in.Sort))
	return page(rows, err, stockOf)
}

// ItemPath names one SKU at one location.
type ItemPath struct {
	Reading
	SKU      string `path:"sku" maxLength:"64" doc:"Percent-encode blanks and slashes."`
	Location string `path:"location" maxLength:"64" example:"main"`
}

func (a *api) stockLevel(ctx context.Context, in *ItemPath) (resource.Stock, error) {
	if _, err := atLocations(ctx, "path", []string{in.Location}); err != nil {
		return resource.Stock{}, err
	}
	row, err := stockview.LevelOf(ctx, a.DB, sku(in.SKU), in.Location, a.Now())
	return one(row, err, stockOf)
}

type movementsInput struct {
	ItemPath
	Paging
	Counting
	Kinds []string `query:"kind" maxItems:"30" enum:"received,adjusted,counted,reserved,reservation_extended,reservation_released,reservation_expired,allocated,deallocated,shipped,returned,moved_state,transfer_out,transfer_in,came_back,policy_set,reorder_point_crossed" doc:"Only movements of these kinds."`
	Sort  string   `query:"sort" enum:"revision,-revision" default:"-revision" doc:"The newest first by default."`
}

func (a *api) movements(ctx context.Context, in *movementsInput) (query.List[resource.StockMovement], error) {
	if _, err := atLocations(ctx, "path", []string{in.Location}); err != nil {
		return query.List[resource.StockMovement]{}, err
	}
	history, err := a.history(ctx, access.ReadStock)
	if err != nil {
		return query.List[resource.StockMovement]{}, err
	}
	rows, err := history.Movements(ctx, a.DB, sku(in.SKU), in.Location,
		stockview.MovementFilter{Kinds: in.Kinds, OldestFirst: in.Sort == "revision"}, in.listing(in.Counting, in.Sort))
	return page(rows, err, movementOf)
}

// Promises chooses reservations or allocations.
type Promises struct {
	SKU      []string `query:"sku" maxItems:"100" minLength:"1" maxLength:"64"`
	Location []string `query:"location" maxItems:"100" minLength:"1" maxLength:"64"`
	OrderID  []string `query:"order_id" maxItems:"100" minLength:"1" maxLength:"64"`
	Sort     string   `query:"sort" enum:"sku,-sku" default:"sku" doc:"By SKU, location and id."`
}

type reservationsInput struct {
	Reading
	Paging
	Counting
	Promises
	Expired bool `query:"expired" doc:"Also list reservations whose deadline has passed and whose end is not recorded yet. Their units are free again."`
}

func (a *api) reservations(ctx context.Context, in *reservationsInput) (query.List[resource.Reservation], error) {
	locations, err := atLocations(ctx, "query", values(in.Location))
	if err != nil {
		return query.List[resource.Reservation]{}, err
	}
	rows, err := stockview.Reservations(ctx, a.DB, stockview.PromiseFilter{
		SKUs: skus(in.SKU), Locations: locations, OrderIDs: values(in.OrderID), Expired: in.Expired,
	}, a.Now(), in.listing(in.Counting, in.Sort))
	return page(rows, err, reservationOf)
}

type allocationsInput struct {
	Reading
	Paging
	Counting
	Promises
}

func (a *api) allocations(ctx context.Context, in *allocationsInput) (query.List[resource.Allocation], error) {
	locations, err := atLocations(ctx, "query", values(in.Location))
	if err != nil {
		return query.List[resource.Allocation]{}, err
	}
	rows, err := stockview.Allocations(ctx, a.DB, stockview.PromiseFilter{
		SKUs: skus(in.SKU), Locations: locations, OrderIDs: values(in.OrderID),
	}, in.listing(in.Counting, in.Sort))
	return page(rows, err, allocationOf)
}

type alertsInput struct {
	Reading
	Paging
	Counting
	SKU      []string `query:"sku" maxItems:"500" minLength:"1" maxLength:"64"`
	Location []string `query:"location" maxItems:"100" minLength:"1" maxLength:"64"`
	Sort     string   `query:"sort" enum:"sku,-sku,location,-location" default:"sku"`
}

func (a *api) reorderAlerts(ctx context.Context, in *alertsInput) (query.List[resource.ReorderAlert], error) {
	locations, err := atLocations(ctx, "query", values(in.Location))
	if err != nil {
		return query.List[resource.ReorderAlert]{}, err
	}
	rows, err := stockview.Alerts(ctx, a.DB, stockview.Filter{SKUs: skus(in.SKU), Locations: locations}, a.Now(), in.listing(in.Counting, in.Sort))
	return page(rows, err, alertOf)
}

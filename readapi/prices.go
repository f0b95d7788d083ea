package readapi

import (
	"context"
	"slices"
	"strings"

	"daybook/domain/access"
	"daybook/internal/apidoc"
	"daybook/internal/problem"
	"daybook/internal/resource"
	"daybook/projections/orderview"
	"daybook/projections/query"
)

// Definitions are the price lists, shipping methods and legal entities. The node has them in
// memory, because it prices carts by them, so there is no read model of them.
type Definitions interface {
	// Position is that of the latest event that is in the definitions.
	Position() string
	// Wait returns when the definitions have reached a position. Its errors are those of
	// Progress.Wait.
	Wait(ctx context.Context, position string) error
	// PriceLists, ShippingMethods and LegalEntities are sorted by id.
	PriceLists() []resource.PriceList
	ShippingMethods() []resource.ShippingMethod
	LegalEntities() []resource.LegalEntity
	// Promotions are sorted by id. Codes are the codes of a promotion, sorted; found is false if
	// there is no such promotion.
	Promotions() []resource.Promotion
	Codes(promotion string) (codes []string, found bool)
	// Prices are those of a price list whose SKUs come after a given one, sorted by SKU, and at
	// most limit of them. Only SKUs that begin with prefix are among them. count is how many
	// there are on all pages. found is false if there is no such list.
	Prices(list, after, prefix string, limit int) (prices []resource.ListPrice, count int, found bool)
}

// definitions stands for Definitions in the list of views that a route reads.
const definitions = "definitions"

// priceRoutes are the routes of price lists, shipping methods and legal entities.
func (a *api) priceRoutes() {
	in, missing := []string{definitions}, []string{problem.CodeNotFound}
	get(a, apidoc.TagPrices, route{path: "/v1/price-lists", id: "list-price-lists", needs: access.ReadPrices, summary: "List price lists", views: in, about: "By id, without their prices. What has happened to a list is in its stream, `pricelist-` and its id."}, nil, a.priceLists)
	get(a, apidoc.TagPrices, route{path: "/v1/price-lists/{price_list_id}", id: "get-price-list", needs: access.ReadPrices, summary: "Show the terms of a price list", views: in, about: "Without its prices (list-list-prices).", problems: missing}, func(l resource.PriceList) int64 { return l.Revision }, a.priceList)
	get(a, apidoc.TagPrices, route{path: "/v1/price-lists/{price_list_id}/prices", id: "list-list-prices", needs: access.ReadPrices, summary: "List the prices of a price list", views: in, about: "By SKU. If prices change between two pages, a page shows those of its own moment.", problems: missing}, nil, a.listPrices)
	get(a, apidoc.TagPromotions, route{path: "/v1/promotions", id: "list-promotions", needs: access.ReadPromotions, summary: "List promotions", views: in, about: "By id. What has happened to a promotion, with each of its uses, is in its stream, `promotion-` and its id."}, nil, a.promotions)
	get(a, apidoc.TagPromotions, route{path: "/v1/promotions/{promotion_id}", id: "get-promotion", needs: access.ReadPromotions, summary: "Show a promotion", views: in, about: "With its limits and how often it was used. Its codes are in list-codes.", problems: missing}, func(p resource.Promotion) int64 { return p.Revision }, a.promotion)
	get(a, apidoc.TagPromotions, route{path: "/v1/promotions/{promotion_id}/codes", id: "list-codes", needs: access.ReadPromotions, summary: "List the codes of a coupon", views: in, about: "In alphabetical order.", problems: missing}, nil, a.codes)
	get(a, apidoc.TagGiftCards, route{path: "/v1/gift-cards", id: "list-gift-cards", needs: access.ReadGiftCards, summary: "List gift cards and credit accounts", views: []string{orders, customers}, about: "The newest first, unless sort says otherwise. A row must match all filters. Their states are as of now: a card ends when its time is over. No row has a code."}, nil, a.listGiftCards)
	get(a, apidoc.TagGiftCards, route{path: "/v1/gift-cards/{gift_card_id}", id: "get-gift-card", needs: access.ReadGiftCards, summary: "Show a gift card or a credit account", about: "With what is left and what has happened. It is read from its stream, so it is never behind. It never has the code; who has the code finds the card by find-gift-card.", problems: missing}, func(c resource.GiftCard) int64 { return c.Revision }, a.giftCard)
	get(a, apidoc.TagPrices, route{path: "/v1/shipping-methods", id: "list-shipping-methods", needs: access.ReadPrices, summary: "List shipping methods", views: in, about: "By id. What has happened to a method is in its stream, `shippingmethod-` and its id."}, nil, a.methods)
	get(a, apidoc.TagPrices, route{path: "/v1/shipping-methods/{method_id}", id: "get-shipping-method", needs: access.ReadPrices, summary: "Show a shipping method", views: in, about: "With all its rates.", problems: missing}, func(m resource.ShippingMethod) int64 { return m.Revision }, a.method)
	get(a, apidoc.TagPrices, route{path: "/v1/legal-entities", id: "list-legal-entities", needs: access.ReadPrices, summary: "List legal entities", views: in, about: "By id. What has happened to an entity is in its stream, `legalentity-` and its id."}, nil, a.entities)
	get(a, apidoc.TagPrices, route{path: "/v1/legal-entities/{entity_id}", id: "get-legal-entity", needs: access.ReadPrices, summary: "Show a legal entity with its taxes", views: in, about: "With all its taxes, also those that do not count yet or any more.", problems: missing}, func(e resource.LegalEntity) int64 { return e.Revision }, a.entity)
}

// Standing selects definitions by their status.
type Standing struct {
	Status []string `query:"status" maxItems:"3" enum:"active,inactive,ended"`
}

func (s Standing) chooses(status string) bool {
	return len(s.Status) == 0 || slices.Contains(s.Status, status)
}

type listDefinitionsInput struct {
	Reading
	Paging
	Counting
	Standing
}

// pageOf is a page of things that are in memory, sorted by id.
func pageOf[B any](in *listDefinitionsInput, all []B, id, status func(B) string) query.List[B] {
	all = slices.DeleteFunc(all, func(b B) bool { return !in.chooses(status(b)) })
	list := query.List[B]{Items: []B{}}
	if in.Count {
		list.Count = countOf(len(all))
	}
	all = slices.DeleteFunc(all, func(b B) bool { return id(b) <= in.Cursor })
	list.Items = append(list.Items, all[:min(in.Limit, len(all))]...)
	if len(all) > in.Limit {
		list.Next = id(list.Items[in.Limit-1])
	}
	return list
}

// countOf is the count of n things that are in memory, as lists of a database tell it.
func countOf(n int) *query.Count {
	return &query.Count{Value: int64(min(n, query.MaxCount)), Exact: n <= query.MaxCount}
}

// oneOf returns the thing with an id, or query.ErrNotFound.
func oneOf[B any](all []B, id string, of func(B) string) (found B, err error) {
	i := slices.IndexFunc(all, func(b B) bool { return of(b) == id })
	if i < 0 {
		return found, query.ErrNotFound
	}
	return all[i], nil
}

func idOfList(l resource.PriceList) string        { return l.PriceListID }
func idOfMethod(m resource.ShippingMethod) string { return m.MethodID }
func idOfEntity(e resource.LegalEntity) string    { return e.EntityID }

func idOfPromotion(p resource.Promotion) string { return p.PromotionID }

func (a *api) promotions(_ context.Context, in *listDefinitionsInput) (query.List[resource.Promotion], error) {
	return pageOf(in, a.Definitions.Promotions(), idOfPromotion, func(p resource.Promotion) string { return p.Status }), nil
}

type promotionInput struct {
	Reading
	PromotionID string `path:"promotion_id" maxLength:"64"`
}

func (a *api) promotion(_ context.Context, in *promotionInput) (resource.Promotion, error) {
	return oneOf(a.Definitions.Promotions(), in.PromotionID, idOfPromotion)
}

type listGiftCardsInput struct {
	Reading
	Paging
	Counting
	Status      []string `query:"status" maxItems:"3" enum:"active,expired,disabled"`
	Kind        []string `query:"kind" maxItems:"2" enum:"gift_card,credit"`
	Currency    []string `query:"currency" maxItems:"100" minLength:"1" maxLength:"3"`
	CustomerID  []string `query:"customer_id" class:"customer" maxItems:"100" minLength:"1" maxLength:"64" doc:"The credit accounts of these customers."`
	OrderID     []string `query:"order_id" maxItems:"100" minLength:"1" maxLength:"64" doc:"Gift cards that were sold in any of these orders."`
	WithBalance string   `query:"with_balance" enum:"true,false" doc:"true: only those on which the shop still owes something. false: only the others."`
	Sort        string   `query:"sort" enum:"issued_at,-issued_at,changed_at,-changed_at,balance,-balance" default:"-issued_at" doc:"The newest first by default. Balances in different currencies are compared as plain numbers, so choose a currency, too."`
}

func (a *api) listGiftCards(ctx context.Context, in *listGiftCardsInput) (query.List[resource.GiftCardSummary], error) {
	customers, err := a.withAbsorbed(ctx, values(in.CustomerID))
	if err != nil {
		return query.List[resource.GiftCardSummary]{}, err
	}
	now := a.Now()
	rows, err := orderview.ListCards(ctx, a.DB, orderview.CardFilter{
		Statuses: in.Status, Now: now, Kinds: in.Kind, Currencies: upper(in.Currency), CustomerIDs: customers,
		SoldWith: values(in.OrderID), WithBalance: yesOrNo(in.WithBalance),
	}, in.listing(in.Counting, in.Sort))
	return page(rows, err, func(c orderview.Card) resource.GiftCardSummary { return giftCardSummary(c, now) })
}

type giftCardInput struct {
	Reading
	GiftCardID string `path:"gift_card_id" maxLength:"64"`
}

func (a *api) giftCard(ctx context.Context, in *giftCardInput) (resource.GiftCard, error) {
	history, err := a.history(ctx, access.ReadGiftCards)
	if err != nil {
		return resource.GiftCard{}, err
	}
	return history.GiftCard(ctx, in.GiftCardID, a.Now())
}

type listCodesInput struct {
	Reading
	Paging
	Counting
	PromotionID string `path:"promotion_id" maxLength:"64"`
}

func (a *api) codes(_ context.Context, in *listCodesInput) (query.List[resource.CouponCode], error) {
	all, found := a.Definitions.Codes(in.PromotionID)
	if !found {
		return query.List[resource.CouponCode]{}, query.ErrNotFound
	}
	from, exact := slices.BinarySearch(all, in.Cursor)
	if exact {
		from++
	}
	list := query.List[resource.CouponCode]{Items: []resource.CouponCode{}}
	if in.Count {
		list.Count = countOf(len(all))
	}
	for _, code := range all[from:min(from+in.Limit, len(all))] {
		list.Items = append(list.Items, resource.CouponCode{Code: code})
	}
	if len(all) > from+in.Limit {
		list.Next = list.Items[in.Limit-1].Code
	}
	return list, nil
}

func (a *api) priceLists(_ context.Context, in *listDefinitionsInput) (query.List[resource.PriceList], error) {
	return pageOf(in, a.Definitions.PriceLists(), idOfList, func(l resource.PriceList) string { return l.Status }), nil
}

type priceListInput struct {
	Reading
	PriceListID string `path:"price_list_id" maxLength:"64"`
}

func (a *api) priceList(_ context.Context, in *priceListInput) (resource.PriceList, error) {
	return oneOf(a.Definitions.PriceLists(), in.PriceListID, idOfList)
}

type listPricesInput struct {
	Reading
	Paging
	Counting
	PriceListID string `path:"price_list_id" maxLength:"64"`
	Prefix      string `query:"sku_prefix" maxLength:"64" doc:"Only SKUs that begin with it."`
}

func (a *api) listPrices(_ context.Context, in *listPricesInput) (query.List[resource.ListPrice], error) {
	found, count, exists := a.Definitions.Prices(in.PriceListID, in.Cursor, strings.ToUpper(in.Prefix), in.Limit+1)
	if !exists {
		return query.List[resource.ListPrice]{}, query.ErrNotFound
	}
	list := query.List[resource.ListPrice]{Items: append([]resource.ListPrice{}, found[:min(in.Limit, len(found))]...)}
	if in.Count {
		list.Count = countOf(count)
	}
	if len(found) > in.Limit {
		list.Next = list.Items[in.Limit-1].SKU
	}
	return list, nil
}

func (a *api) methods(_ context.Context, in *listDefinitionsInput) (query.List[resource.ShippingMethod], error) {
	return pageOf(in, a.Definitions.ShippingMethods(), idOfMethod, func(m resource.ShippingMethod) string { return m.Status }), nil
}

type methodInput struct {
	Reading
	MethodID string `path:"method_id" maxLength:"64"`
}

func (a *api) method(_ context.Context, in *methodInput) (resource.ShippingMethod, error) {
	return oneOf(a.Definitions.ShippingMethods(), in.MethodID, idOfMethod)
}

func (a *api) entities(_ context.Context, in *listDefinitionsInput) (query.List[resource.LegalEntity], error) {
	return pageOf(in, a.Definitions.LegalEntities(), idOfEntity, func(e resource.LegalEntity) string { return e.Status }), nil
}

type entityInput struct {
	Reading
	EntityID string `path:"entity_id" maxLength:"64"`
}

func (a *api) entity(_ context.Context, in *entityInput) (resource.LegalEntity, error) {
	return oneOf(a.Definitions.LegalEntities(), in.EntityID, idOfEntity)
}

// noDefinitions are those of a program without any.
type noDefinitions struct{}

func (noDefinitions) Promotions() []resource.Promotion           { return nil }
func (noDefinitions) Codes(string) ([]string, bool)              { return nil, false }
func (noDefinitions) Position() string                           { return "0" }
func (noDefinitions) Wait(context.Context, string) error         { return nil }
func (noDefinitions) PriceLists() []resource.PriceList           { return nil }
func (noDefinitions) ShippingMethods() []resource.ShippingMethod { return nil }
func (noDefinitions) LegalEntities() []resource.LegalEntity      { return nil }

func (noDefinitions) Prices(string, string, string, int) ([]resource.ListPrice, int, bool) {
	return nil, 0, false
}

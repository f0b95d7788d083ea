package live_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/customer"
	"daybook/domain/filestest"
	"daybook/domain/money/coupon"
	"daybook/domain/money/entity"
	"daybook/domain/money/giftcard"
	"daybook/domain/money/pricelist"
	"daybook/domain/money/promotion"
	"daybook/domain/money/shipping"
	"daybook/domain/order"
	"daybook/domain/payment"
	"daybook/domain/product"
	"daybook/domain/returns"
	"daybook/domain/staff"
	"daybook/domain/stock"
	"daybook/domain/subject"
	"daybook/eventstore"
	"daybook/internal/verify"
	"daybook/projections/salesview"
	"daybook/projections/views"
	"daybook/projections/viewtest"
)

// The test of extreme values reads two environment variables. EXTREMES_SEED repeats a run.
// EXTREMES_ROUNDS is how often each value is used, each time in another order and with other
// values.
const (
	seedVariable   = "EXTREMES_SEED"
	roundsVariable = "EXTREMES_ROUNDS"
)

// The fields of events have extreme values, and the events come in any order. No view stops, each
// view is the same after a rebuild, verify reaches the end of the log, and everything can be read.
// The test finds the fields by reflection, so it also covers new ones.
func TestNoEventStopsAView(t *testing.T) {
	seed := environmentNumber(t, seedVariable, uint64(time.Now().UnixNano()))
	rounds := environmentNumber(t, roundsVariable, 1)
	t.Logf("%s=%d %s=%d", seedVariable, seed, roundsVariable, rounds)
	random := rand.New(rand.NewPCG(seed, 0))

	all := views.All(salesview.Options{Country: "United Kingdom", Currency: "GBP"})
	b := viewtest.New(t, all...)
	w := &writer{Bench: b, random: random}
	w.readSamples()
	for range rounds {
		for _, a := range aggregates {
			w.extremesOf(a)
		}
		w.extremesOfMetadata()
	}
	t.Logf("%d events in %d streams", w.events, len(w.streams))
	if w.events < 16000 {
		t.Errorf("only %d events", w.events)
	}
	b.CaughtUp()
	status, err := b.Runner.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range status {
		if s.Odd == 0 {
			t.Errorf("view %s counts no odd event", s.View)
		}
	}
	t.Run("every view is the same when it is rebuilt", func(t *testing.T) {
		for _, view := range all {
			b.SameWhenRebuilt(view.Name)
		}
	})
	t.Run("verification comes to its end and names what it finds", func(t *testing.T) {
		report, err := verify.Run(t.Context(), verify.Config{
			Store: b.Log, Now: time.Now(), Pool: b.Pool, Views: all, Shop: verify.Shop{Country: "United Kingdom", Currency: "GBP"},
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, check := range report.Checks {
			t.Logf("%s: %d examined, %d differences %q", check.Name, check.Examined, check.Differences, check.First[:min(2, len(check.First))])
			if check.Differences > 0 && len(check.First) == 0 {
				t.Errorf("%s: %d differences, and none is named", check.Name, check.Differences)
			}
			if strings.Contains(strings.Join(check.First, " "), "broke off") || check.Name == "a check that broke off" {
				t.Errorf("%s: %q", check.Name, check.First)
			}
		}
	})
	t.Run("every event is read as a CloudEvent", func(t *testing.T) { w.readAsCloudEvents(t) })
	t.Run("every list and every detail is answered", func(t *testing.T) { w.walkReads(t) })
	t.Run("every event is read through the gateway", func(t *testing.T) { w.readThroughGateway(t) })
}

func environmentNumber(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	value, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return value
}

// aggregate is what the test needs to know about one kind of stream.
type aggregate struct {
	category string
	types    []string
	decode   func(eventType string, data []byte) (any, error)
	begins   string // the type of a stream's first event
	ends     string // and of its last
	stream   func(id string) string
}

// A new aggregate has a codec. It must be added to the aggregates of this test.
func TestTheExtremesDriveEveryAggregate(t *testing.T) {
	t.Parallel()
	if codecs := filestest.OfAggregates(t, "../../domain", "codec.go"); len(codecs) != len(aggregates) {
		t.Errorf("the domain has %d codecs, and the extremes drive %d aggregates", len(codecs), len(aggregates))
	}
}

var aggregates = []aggregate{
	{
		product.Category, product.Types(), func(t string, d []byte) (any, error) { return product.Decode(t, d) },
		"product.listed.v1", "product.retired.v1", nil,
	},
	{
		cart.Category, cart.Types(), func(t string, d []byte) (any, error) { return cart.Decode(t, d) },
		"cart.opened.v2", "cart.abandoned.v1", nil,
	},
	{
		order.Category, order.Types(), func(t string, d []byte) (any, error) { return order.Decode(t, d) },
		"order.placed.v1", "order.canceled.v1", nil,
	},
	{
		returns.Category, returns.Types(), func(t string, d []byte) (any, error) { return returns.Decode(t, d) },
		"return.requested.v1", "return.closed.v1", nil,
	},
	{
		stock.Category, stock.Types(), func(t string, d []byte) (any, error) { return stock.Decode(t, d) },
		"stock.received.v1", "stock.counted.v1", func(id string) string { return "stock-" + id + "@main" },
	},
	{
		access.Category, access.Types(), func(t string, d []byte) (any, error) { return access.Decode(t, d) },
		"shopaccess.key_issued.v1", "shopaccess.key_revoked.v1", nil,
	},
	{
		staff.Category, staff.Types(), func(t string, d []byte) (any, error) { return staff.Decode(t, d) },
		"shopstaff.invited.v1", "shopstaff.disabled.v1", nil,
	},
	{
		customer.Category, customer.Types(), func(t string, d []byte) (any, error) { return customer.Decode(t, d) },
		"customer.registered.v1", "customer.blocked.v1", nil,
	},
	{
		subject.Category, subject.Types(), func(t string, d []byte) (any, error) { return subject.Decode(t, d) },
		"subject.erased.v1", "subject.erased.v1", nil,
	},
	{
		pricelist.Category, pricelist.Types(), func(t string, d []byte) (any, error) { return pricelist.Decode(t, d) },
		"pricelist.created.v1", "pricelist.ended.v1", nil,
	},
	{
		shipping.Category, shipping.Types(), func(t string, d []byte) (any, error) { return shipping.Decode(t, d) },
		"shippingmethod.created.v1", "shippingmethod.ended.v1", nil,
	},
	{
		entity.Category, entity.Types(), func(t string, d []byte) (any, error) { return entity.Decode(t, d) },
		"legalentity.created.v1", "legalentity.ended.v1", nil,
	},
	{
		promotion.Category, promotion.Types(), func(t string, d []byte) (any, error) { return promotion.Decode(t, d) },
		"promotion.created.v1", "promotion.ended.v1", nil,
	},
	{
		coupon.Category, coupon.Types(), func(t string, d []byte) (any, error) { return coupon.Decode(t, d) },
		"coupon.given.v1", "coupon.withdrawn.v1", nil,
	},
	{
		giftcard.Category, giftcard.Types(), func(t string, d []byte) (any, error) { return giftcard.Decode(t, d) },
		"giftcard.issued.v1", "giftcard.disabled.v1", nil,
	},
	{
		payment.Category, payment.Types(), func(t string, d []byte) (any, error) { return payment.Decode(t, d) },
		"payment.claimed.v1", "payment.claimed.v1", nil,
	},
}

// fact is an event that is written.
type fact struct {
	eventType string
	data      []byte
}

// writer appends events without any command.
type writer struct {
	*viewtest.Bench
	random  *rand.Rand
	streams []string
	events  int
	last    int // the number of the last stream
	// samples are the golden files of the aggregates, by event type. words are the strings in them,
	// by the name of their member, so they include the values of enumerations.
	samples map[string][][]byte
	words   map[string][]string
}

// extremesOf writes events of each type of an aggregate, with each extreme value in each field.
// Each event has its own stream.
func (w *writer) extremesOf(a aggregate) {
	for _, eventType := range a.types {
		for _, data := range w.variants(w.ordinary(a, eventType)) {
			w.write(a, fact{eventType, data}, nil)
		}
		for _, sample := range w.samples[eventType] {
			for range 3 {
				w.write(a, fact{eventType, w.oneVariant(sample)}, nil)
			}
		}
	}
	for range storiesEach {
		w.writeStory(a)
	}
}

// storiesEach is how many streams of an aggregate get many events in a random order.
const storiesEach = 150

// writeStory writes a stream of events with the same ids and lines, so that the later ones change
// what the earlier ones made. Each may have one extreme value.
func (w *writer) writeStory(a aggregate) {
	w.Helper()
	stream := w.stream(a)
	begins := append([][]byte{w.ordinary(a, a.begins)}, w.samples[a.begins]...)
	w.append(stream, fact{a.begins, begins[w.random.IntN(len(begins))]}, nil)
	for range 2 + w.random.IntN(12) {
		eventType := a.types[w.random.IntN(len(a.types))]
		ordinary := w.ordinary(a, eventType)
		if samples := w.samples[eventType]; w.random.IntN(2) == 0 {
			ordinary = samples[w.random.IntN(len(samples))]
		}
		w.append(stream, fact{eventType, w.oneVariant(ordinary)}, nil)
	}
}

// stream returns the name of a new stream.
func (w *writer) stream(a aggregate) string {
	w.last++
	id := fmt.Sprintf("x%d", w.last)
	stream := a.category + "-" + id
	if a.stream != nil {
		stream = a.stream(id)
	}
	w.streams = append(w.streams, stream)
	return stream
}

// extremesOfMetadata writes the first event of each aggregate with each extreme
// value of each field of the metadata.
func (w *writer) extremesOfMetadata() {
	ordinary := w.encode(fill[eventstore.Metadata]())
	for _, meta := range w.variants(ordinary) {
		for _, a := range aggregates {
			w.write(a, fact{a.begins, w.ordinary(a, a.begins)}, meta)
		}
	}
}

// ordinary is an event whose fields all have ordinary values.
func (w *writer) ordinary(a aggregate, eventType string) []byte {
	w.Helper()
	empty, err := a.decode(eventType, []byte(`{}`))
	if err != nil {
		w.Fatal(err)
	}
	return w.encode(filledValue(empty))
}

// readSamples reads the golden files of all events.
func (w *writer) readSamples() {
	w.Helper()
	files := filestest.OfAggregates(w.TB, "../../domain", "testdata/*.json")
	w.samples, w.words = map[string][][]byte{}, map[string][]string{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			w.Fatal(err)
		}
		eventType, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".json"), "~")
		w.samples[eventType] = append(w.samples[eventType], data)
		visit(w.parse(data), func(p place) {
			if text, is := p.get().(string); is && !slices.Contains(w.words[p.name], text) {
				w.words[p.name] = append(w.words[p.name], text)
			}
		})
	}
	for _, a := range aggregates {
		for _, eventType := range a.types {
			if len(w.samples[eventType]) == 0 {
				w.Errorf("%s has no golden file", eventType)
			}
		}
	}
}

func (w *writer) encode(value any) []byte {
	w.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		w.Fatal(err)
	}
	return data
}

// write writes an event into a new stream, together with the stream's first and last event in one
// of six orders. No command would record most of these orders.
func (w *writer) write(a aggregate, f fact, meta []byte) {
	w.Helper()
	stream := w.stream(a)
	first, end := fact{a.begins, w.ordinary(a, a.begins)}, fact{a.ends, w.ordinary(a, a.ends)}
	orders := [][]fact{
		{first, f},           // as it should be
		{f},                  // without the beginning
		{first, f, f},        // twice
		{first, end, f, end}, // after the end
		{f, first, f},        // before the beginning
		{first, f, first},    // a second beginning
	}
	facts := orders[w.random.IntN(len(orders))]
	if meta != nil {
		facts = orders[0]
	}
	for _, f := range facts {
		w.append(stream, f, meta)
	}
}

func (w *writer) append(stream string, f fact, meta []byte) {
	w.Helper()
	event := eventstore.Event{ID: eventstore.EventID(uuid.New(), 0), Type: f.eventType, Data: f.data, Meta: meta}
	err := w.Append(stream, event)
	_, invalid := errors.AsType[*eventstore.InvalidError](err)
	_, large := errors.AsType[*eventstore.TooLargeError](err)
	switch {
	case invalid, large: // the log refuses it, so no reader meets it
	case err != nil:
		w.Fatal(err)
	default:
		w.events++
	}
}

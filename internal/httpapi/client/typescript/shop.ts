// A shop sells a mug, with a shortage at first and a refund at the end. All its types are made from
// the API's document: npm run build makes them and compiles this file. The program takes the
// server's address, and an API key in DAYBOOK_KEY. It ends with an error if a response is not what
// a shop expects.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import createClient from "openapi-fetch";
import type { components, paths } from "./build/api.js";

type Problem = components["schemas"]["Problem"];

const server = process.argv[2];
assert(server !== undefined, "usage: node build/shop.js http://127.0.0.1:8080");
const key = process.env.DAYBOOK_KEY;
assert(key !== undefined, "DAYBOOK_KEY has no API key");
const api = createClient<paths>({ baseUrl: server, headers: { Authorization: `Bearer ${key}` } });

// The log position of the latest response. Every read waits for it, so that the shop sees its own
// changes.
let position = "0";
const fresh = (): { "Daybook-Min-Position": string } => ({ "Daybook-Min-Position": position });
// Every write can be repeated under its key.
const once = (): { "Idempotency-Key": string } => ({ "Idempotency-Key": randomUUID() });

// done returns the data of a response. It throws an error if the response is a problem.
function done<Data>(answer: { data?: Data; error?: Problem; response: Response }): Data {
  remember(answer.response);
  if (answer.data === undefined) {
    throw new Error(`${answer.response.url}: ${answer.response.status}: ${answer.error?.detail ?? answer.error?.title ?? ""}`);
  }
  return answer.data;
}

function remember(response: Response): void {
  position = response.headers.get("Daybook-Position") ?? position;
}

const gbp = (amount: string): components["schemas"]["MoneyInput"] => ({ amount, currency: "GBP" });
const sku = `MUG-${randomUUID()}`.toUpperCase();
const location = "main";

// A product is listed, and three units of it are received.
const product = done(
  await api.PUT("/v1/products/{sku}", {
    params: { path: { sku } },
    body: { title: "Mug", prices: [gbp("7.50")] },
  }),
);
assert.equal(product.kind, "stocked");
assert.deepEqual(product.prices, [gbp("7.50")]);
done(await api.POST("/v1/stock/{sku}/{location}/receipts", { params: { path: { sku, location }, header: once() }, body: { quantity: 3 } }));
const stocked = done(await api.GET("/v1/stock/{sku}/{location}", { params: { path: { sku, location }, header: fresh() } }));
assert.equal(stocked.available, 3);

// A cart asks for five units.
const cart = done(
  await api.POST("/v1/carts", {
    body: { currency: "GBP", country: "United Kingdom", customer_id: "ann", lines: [{ sku, quantity: 5 }] },
  }),
);
assert.deepEqual(cart.total, gbp("37.50"));
const ofCart = { cart_id: cart.cart_id };

const short = await api.POST("/v1/carts/{cart_id}/checkout", { params: { path: ofCart, header: once() }, body: {} });
assert.equal(short.response.status, 409);
assert(short.error?.type === "/problems/stock-insufficient", "the problem's type says what is wrong");
const shortage = short.error.shortages?.find((candidate) => candidate.sku === sku);
assert(shortage !== undefined, "the shortage names the product");
assert.deepEqual([shortage.requested, shortage.available, shortage.lines], [5, 3, [1]]);
remember(short.response); // a read that waits for this position shows the cart open again

const again = done(await api.GET("/v1/carts/{cart_id}", { params: { path: ofCart, header: fresh() } }));
const line = again.lines.find((candidate) => candidate.sku === sku);
assert(again.status === "open" && line !== undefined, "the cart is open again, with its line");
const reduced = done(
  await api.PATCH("/v1/carts/{cart_id}/lines/{line}", {
    params: { path: { ...ofCart, line: line.line } },
    body: { quantity: shortage.available },
  }),
);
assert.deepEqual(reduced.total, gbp("22.50"));

// The order is placed and paid. The same request under the same key gets the same order.
const params = { path: ofCart, header: once() };
const body: components["schemas"]["CheckoutInputBody"] = { payment: { type: "capture", transaction_id: "pay-1", amount: gbp("22.50") } };
const placed = done(await api.POST("/v1/carts/{cart_id}/checkout", { params, body })).order;
const repeated = await api.POST("/v1/carts/{cart_id}/checkout", { params, body });
assert.equal(repeated.response.headers.get("Idempotency-Replayed"), "true");
assert.equal(done(repeated).order.order_id, placed.order_id);
assert.equal(placed.status, "pending");
assert.equal(placed.payment_state, "paid");
assert.deepEqual([placed.owed, placed.captured], [gbp("22.50"), gbp("22.50")]);
const ofOrder = { order_id: placed.order_id };

const confirmed = done(await api.POST("/v1/orders/{order_id}/confirm", { params: { path: ofOrder } }));
assert.equal(confirmed.status, "confirmed");

const parcel = done(
  await api.POST("/v1/orders/{order_id}/shipments", { params: { path: ofOrder, header: once() }, body: { carrier: "post", location } }),
);
assert.equal(parcel.order.fulfillment_state, "fulfilled");
const arrived = done(
  await api.POST("/v1/orders/{order_id}/shipments/{shipment_id}/deliver", {
    params: { path: { ...ofOrder, shipment_id: parcel.shipment_id } },
  }),
);
assert.equal(arrived.fulfillment_state, "delivered");

// One of the three units comes back, and its price is refunded.
const asked = done(
  await api.POST("/v1/returns", {
    params: { header: once() },
    body: { ...ofOrder, reason: "too small", lines: [{ order_line: line.line, quantity: 1 }] },
  }),
);
assert.equal(asked.status, "requested");
assert.deepEqual(asked.value, gbp("7.50"));
const ofReturn = { return_id: asked.return_id };
assert.equal(done(await api.POST("/v1/returns/{return_id}/approve", { params: { path: ofReturn } })).status, "open");
const received = done(
  await api.POST("/v1/returns/{return_id}/receipts", {
    params: { path: ofReturn, header: once() },
    body: { lines: [{ line: 1, quantity: 1, disposition: "restocked", location }] },
  }),
);
assert.equal(received.lines[0]?.awaited, 0);
const refunded = done(
  await api.POST("/v1/returns/{return_id}/refunds", { params: { path: ofReturn, header: once() }, body: { amount: gbp("7.50") } }),
);
assert.deepEqual(refunded.refunded, gbp("7.50"));

// This is what the read models show at the end.
const order = done(await api.GET("/v1/orders/{order_id}", { params: { path: ofOrder, header: fresh() } }));
assert.deepEqual([order.payment_state, order.fulfillment_state], ["partially_refunded", "delivered"]);
assert.deepEqual([order.captured, order.refunded], [gbp("22.50"), gbp("7.50")]);
assert.deepEqual(order.returns?.map((back) => back.return_id), [asked.return_id]);
const left = done(await api.GET("/v1/stock/{sku}/{location}", { params: { path: { sku, location }, header: fresh() } }));
assert.deepEqual([left.on_hand, left.available], [1, 1]);
console.log(`order ${order.order_id}: paid ${order.captured.amount}, given back ${order.refunded.amount} ${order.currency}`);

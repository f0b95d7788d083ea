// A shop in strict TypeScript expects this of the types that are made from the document. The file
// is never run. If the types are too loose or too strict, it does not compile.
import type { components, operations, paths } from "./build/api.js";

type Schemas = components["schemas"];
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const is = <T extends true>(): T => true as T;

// A member that the server fills in may be left out.
export const product: Schemas["ListProductInputBody"] = { title: "Mug", prices: [{ amount: "2.50", currency: "GBP" }] };
export const checkout: Schemas["CheckoutInputBody"] = { payment: {}, confirm: true };
export const shipment: Schemas["ShipInputBody"] = { lines: [{ line: 1, quantity: 2 }] };

// A member with a fixed set of values has exactly these values, in reads and in writes.
is<Same<Schemas["Order"]["status"], "pending" | "confirmed" | "completed" | "canceled" | "expired">>();
is<Same<Schemas["OrderSummary"]["status"], Schemas["Order"]["status"]>>();
is<Same<Schemas["OrderSummary"]["payment_state"], Schemas["Order"]["payment_state"]>>();
is<Same<Schemas["Product"]["status"], "on_sale" | "retired">>();
is<Same<Schemas["Product"]["kind"], "stocked" | "service">>();

// A thing has the same type in commands and in reads.
type Changed<O extends keyof operations> = operations[O]["responses"] extends { 200: { content: { "application/json": infer B } } } ? B : never;
is<Same<Changed<"confirm-order">, Changed<"get-order">>>();
is<Same<Changed<"abandon-cart">, Changed<"get-cart">>>();
is<Same<Changed<"approve-return">, Changed<"get-return">>>();
is<Same<Changed<"set-price">, Changed<"get-product">>>();
is<Same<Changed<"receive-stock">, Changed<"get-stock">>>();
is<Same<Changed<"confirm-order">["owed"], Schemas["Money"]>>();

// The member type of a problem decides which other members it has.
export function explain(problem: Schemas["Problem"]): string {
  switch (problem.type) {
    case "/problems/stock-insufficient":
      return (problem.shortages ?? []).map((short) => `${short.sku}: ${short.available} of ${short.requested}`).join();
    case "/problems/request-too-large":
      return `at most ${problem.limit ?? "so many"}`;
    case "/problems/position-not-reached":
      return `${problem.position}, not ${problem.wanted}`;
    case "/problems/request-invalid":
      return problem.errors.map((fault) => `${fault.pointer ?? fault.parameter ?? ""}: ${fault.detail}`).join();
    default:
      return problem.detail ?? problem.title;
  }
}

// An operation lists only problems that it can have.
type Refusals = operations["checkout-cart"]["responses"][409]["content"]["application/problem+json"]["type"];
is<Same<Extract<Refusals, "/problems/stock-insufficient">, "/problems/stock-insufficient">>();
is<Same<Extract<Refusals, "/problems/product-not-priced" | "/problems/return-closed">, never>>();

// The member dataschema of an event decides the type of its data. Among the events of the shop, the
// member type decides it too.
type Event = Schemas["Event"];
export function units(event: Event): number {
  switch (event.dataschema) {
    case "urn:daybook:cart.line_added.v1":
      return event.data.quantity;
    case "urn:daybook:order.placed.v1":
      return event.data.lines.reduce((sum, line) => sum + line.quantity, 0);
    case "urn:daybook:unknown":
      return Object.keys(event.data).length;
    default:
      return event.type === "stock.received.v1" ? event.data.quantity : 0;
  }
}
type Line = paths["/v1/events"]["get"]["responses"][200]["content"]["application/x-ndjson"];
is<Same<Line, Event>>();
is<Same<Extract<Event, { dataschema: "urn:daybook:unknown" }>, Schemas["ForeignEvent"]>>();

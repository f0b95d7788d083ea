-- One row an item and place. Every quantity is a sum over the stream's events.
-- reserved counts reservations without a recorded end; whether a deadline has
-- passed is a question of when one looks, so readers take off those that are due.
CREATE TABLE stock_items (
    sku                text        NOT NULL,
    location           text        NOT NULL,
    on_hand            bigint      NOT NULL,
    reserved           bigint      NOT NULL,
    allocated          bigint      NOT NULL,
    damaged            bigint      NOT NULL,
    quality_control    bigint      NOT NULL,
    other_unavailable  bigint      NOT NULL,
    safety_stock       bigint      NOT NULL,
    backorder_limit    bigint      NOT NULL,
    reorder_point      bigint      NOT NULL,
    reorder_crossed_at timestamptz,          -- effective time of the last fall to the reorder point
    changed_at         timestamptz NOT NULL, -- recorded time of the last event
    revision           bigint      NOT NULL,
    PRIMARY KEY (sku, location)
) WITH (fillfactor = 50);

-- Reservations without a recorded end. One that begins and ends within a batch
-- is never written.
CREATE TABLE stock_reservations (
    sku            text        NOT NULL,
    location       text        NOT NULL,
    reservation_id text        NOT NULL,
    order_id       text        NOT NULL,
    quantity       bigint      NOT NULL,
    expires_at     timestamptz NOT NULL,
    reserved_at    timestamptz NOT NULL, -- effective time
    PRIMARY KEY (sku, location, reservation_id)
) WITH (fillfactor = 80);

-- Hard promises to orders that have not shipped.
CREATE TABLE stock_allocations (
    sku      text   NOT NULL,
    location text   NOT NULL,
    order_id text   NOT NULL,
    quantity bigint NOT NULL,
    PRIMARY KEY (sku, location, order_id)
) WITH (fillfactor = 80);

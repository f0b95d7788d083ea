-- One row for each SKU at each location. Every quantity is a sum over the stream's events. reserved
-- counts the reservations without a recorded end. The deadline of some of these may have passed
-- since, so readers subtract those that are due.
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
    reorder_crossed_at timestamptz,          -- effective time at which available last fell to the reorder point
    changed_at         timestamptz NOT NULL, -- recorded time of the last event
    revision           bigint      NOT NULL,
    PRIMARY KEY (sku, location)
) WITH (fillfactor = 50);

-- Reservations without a recorded end. A reservation that begins and ends within one batch gets no
-- row.
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

-- Allocations: units that are promised to orders and have not been shipped.
CREATE TABLE stock_allocations (
    sku      text   NOT NULL,
    location text   NOT NULL,
    order_id text   NOT NULL,
    quantity bigint NOT NULL,
    PRIMARY KEY (sku, location, order_id)
) WITH (fillfactor = 80);

-- The allocations whose quantity a batch has lowered to 0. The same batch deletes them. So the
-- index is needed even while a build is filled, when there are no other indexes yet.
CREATE INDEX stock_allocations_kept ON stock_allocations (order_id) WHERE quantity = 0;

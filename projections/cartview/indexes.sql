CREATE INDEX carts_by_time ON carts (changed_at, cart_id);
CREATE INDEX carts_by_phase ON carts (phase, changed_at, cart_id);
CREATE INDEX carts_by_opening ON carts (opened_at, cart_id);
CREATE INDEX carts_by_total ON carts (total, cart_id);

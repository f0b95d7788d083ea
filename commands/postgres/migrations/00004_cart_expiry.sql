-- +goose Up

-- The rule by which the timers of open carts were last set; at most one row. A
-- database without the row has carts without timers, or none.
CREATE TABLE commands.cart_expiry (
    one_row      boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    expire_after interval NOT NULL, -- after a cart's last change; 0 is never
    noted_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- +goose Down
DROP TABLE commands.cart_expiry;
DELETE FROM commands.timers WHERE kind = 'cart';

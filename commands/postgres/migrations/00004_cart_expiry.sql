-- +goose Up

-- How long after its last change an open cart expires, when the timers of the carts were last set.
-- There is at most one row. Without it, no cart has a timer yet.
CREATE TABLE commands.cart_expiry (
    one_row      boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    expire_after interval NOT NULL, -- after a cart's last change; 0 is never
    noted_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- +goose Down
DROP TABLE commands.cart_expiry;
DELETE FROM commands.timers WHERE kind = 'cart';

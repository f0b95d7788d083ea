CREATE INDEX stock_reservations_by_deadline ON stock_reservations (expires_at);
CREATE INDEX stock_reservations_by_order ON stock_reservations (order_id);
CREATE INDEX stock_allocations_by_order ON stock_allocations (order_id);
CREATE INDEX stock_items_with_reorder_point ON stock_items (sku, location) WHERE reorder_point > 0;
CREATE INDEX stock_items_by_location ON stock_items (location, sku);

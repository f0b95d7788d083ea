CREATE INDEX sales_documents_by_time ON sales_documents (occurred_at, document);
CREATE INDEX sales_documents_by_reference ON sales_documents (reference);
CREATE INDEX sales_documents_by_customer ON sales_documents (customer_id, occurred_at, document) WHERE customer_id <> '';
CREATE INDEX sales_skus_by_sku ON sales_skus (sku, day);
CREATE INDEX customers_by_amount ON customers (currency, amount, customer_id);
CREATE INDEX customers_by_last_order ON customers (last_order_at, customer_id);

-- +goose Up

-- How many events of a build were skipped, or had a value out of bounds.
ALTER TABLE projections.builds ADD COLUMN odd bigint NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE projections.builds DROP COLUMN odd;

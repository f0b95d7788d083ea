-- +goose Up

-- How many events a build read within bounds they did not keep, or skipped.
ALTER TABLE projections.builds ADD COLUMN odd bigint NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE projections.builds DROP COLUMN odd;

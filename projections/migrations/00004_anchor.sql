-- +goose Up

-- The latest event known at or before a build's position, in the text form of
-- eventstore.Anchor: so it shows when the log is not the same any more. Empty for
-- a build whose position has not moved since.
ALTER TABLE projections.builds ADD COLUMN anchor text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE projections.builds DROP COLUMN anchor;

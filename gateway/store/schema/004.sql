-- Schema 4. Rollups: what a quarter of an hour and a day of each series come to; kept for years. The layout
-- of `bytes` and the keys (slot * 2^16 + group of series) stand in gateway/store/rollup_int.h.

-- The series that were ever rolled up; a number is never reused. quantity: as last configured.
CREATE TABLE series (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, quantity TEXT);

-- Readings of the slot lie in batches first … first + past, of which the store held n then, and in
-- `late` ones of rollup_late: as long as it holds them all a slot can be computed again.
CREATE TABLE rollup_quarter (
  id INTEGER PRIMARY KEY,
  first INTEGER NOT NULL, past INTEGER NOT NULL, n INTEGER NOT NULL, late INTEGER NOT NULL,
  bytes BLOB NOT NULL
);
CREATE TABLE rollup_day (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);

-- Batches with readings of a quarter that was done before they came.
CREATE TABLE rollup_late (slot INTEGER, batch INTEGER, PRIMARY KEY (slot, batch)) WITHOUT ROWID;

-- Slots to compute again: quarters as they are, days + 2^40.
CREATE TABLE rollup_dirty (id INTEGER PRIMARY KEY);

-- How far the rollups are; in the row of the newest chain, which each seal writes anyway.
ALTER TABLE chain ADD COLUMN rollup_slot INTEGER;
ALTER TABLE chain ADD COLUMN rollup_done INTEGER;
ALTER TABLE chain ADD COLUMN rollup_seen INTEGER;

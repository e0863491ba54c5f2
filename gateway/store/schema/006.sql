-- Schema 6: what people tell the chain.

-- A series stays due until a signed retirement, whatever chain says so: 0 until the newest one does.
ALTER TABLE plan ADD COLUMN said INTEGER NOT NULL DEFAULT 1;

-- Requests that were sealed, and in which batch: a kill may leave their files. The last few stay.
CREATE TABLE request (id BLOB PRIMARY KEY, batch INTEGER NOT NULL) WITHOUT ROWID;

-- `correct` entries whole: id and arguments are CBOR as sealed. A later one of the same id replaces.
ALTER TABLE corrected ADD COLUMN id BLOB;
ALTER TABLE corrected ADD COLUMN arguments BLOB;
DELETE FROM corrected; -- what the store holds is put in again, whole
CREATE INDEX corrected_id ON corrected (id);
CREATE VIEW correction AS SELECT * FROM corrected c WHERE NOT EXISTS (SELECT 1 FROM corrected d
  WHERE d.id = c.id AND (d.batch, d.n) > (c.batch, c.n));

-- `maintain` entries; to_ms NULL: it is open. A later one of the same series, work and begin
-- replaces.
CREATE TABLE maintained (
  batch INTEGER NOT NULL, n INTEGER NOT NULL,
  series TEXT NOT NULL, from_ms INTEGER NOT NULL, to_ms INTEGER, work TEXT NOT NULL,
  map BLOB NOT NULL,
  PRIMARY KEY (batch, n)
) WITHOUT ROWID;
CREATE VIEW maintenance AS SELECT * FROM maintained c WHERE NOT EXISTS (SELECT 1 FROM maintained d
  WHERE d.series = c.series AND d.work = c.work AND d.from_ms = c.from_ms
  AND (d.batch, d.n) > (c.batch, c.n));

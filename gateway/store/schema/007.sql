-- Schema 7. What was entered by hand, as `entered` entries say: the same slip counts once. Rows go
-- with the batch that says it.
CREATE TABLE entered (
  series TEXT NOT NULL, at_ms INTEGER NOT NULL, value TEXT NOT NULL, batch INTEGER NOT NULL,
  PRIMARY KEY (series, at_ms, value)
) WITHOUT ROWID;

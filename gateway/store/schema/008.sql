-- Schema 8. Partials: what the periods of indicators came to, kept for years, each in its latest
-- revision; all of them are readings, too.

-- Whom a value is of: the device that its readings have. And files of the catalogue, by SHA-256.
CREATE TABLE indicator (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE catalogue (id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE);

-- numerator, denominator: "p/q" in lowest terms; NULL: there is none. value: a decimal.
CREATE TABLE partial (
  indicator INTEGER NOT NULL, from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL,
  revision INTEGER NOT NULL, reason INTEGER NOT NULL,
  value TEXT, numerator TEXT, denominator TEXT,
  due INTEGER NOT NULL, good INTEGER NOT NULL,
  catalogue INTEGER NOT NULL, at_ms INTEGER NOT NULL,
  PRIMARY KEY (indicator, from_ms)
) WITHOUT ROWID;

-- Partials whose readings may not be in the journal yet.
CREATE TABLE partial_unput (
  indicator INTEGER NOT NULL, from_ms INTEGER NOT NULL, PRIMARY KEY (indicator, from_ms)
) WITHOUT ROWID;

-- Days (from 1970-01-01, in UTC+7) that were folded from batches first … first + past, of which the
-- store held n then; last: the last good reading of each series up to its end. And days to be folded
-- anew, since a batch.
CREATE TABLE partial_day (
  day INTEGER PRIMARY KEY,
  first INTEGER NOT NULL, past INTEGER NOT NULL, n INTEGER NOT NULL, last BLOB NOT NULL
);
CREATE TABLE partial_dirty (day INTEGER PRIMARY KEY, batch INTEGER NOT NULL);

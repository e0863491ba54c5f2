/* The scripted lives of gateways, recorded. Each has a folder, a log and a ledger of its own. */
#ifndef TESTS_CRASH_SCRIPT_H
#define TESTS_CRASH_SCRIPT_H

#include "tests/crash/site.h"

struct script_runs {
    struct site **v;
    size_t n;
};

/* Plays and records all runs; `rounds` scales their length. */
void script_play(struct script_runs *out, uint64_t seed, unsigned rounds);
void script_free(struct script_runs *runs);
/* The phase that call `i` of the run belongs to. */
enum site_phase script_phase_of(const struct site *r, size_t i);

/* The power is back: makes *r the same gateway on the store in `dir`, cut behind `at` calls, some
 * time later. Then it goes on to the end of its second window. */
void script_come_back(struct site *r, size_t at, const char *dir);
void script_go_on(struct site *r);
/* The same way back, recorded in a new r->log, with an uplink that sends what it sees, to the end
 * of its first window. The first *taken calls of it are the files of `dir`, the others count on
 * behind `at`. `seed` is of all that is drawn. */
void script_play_back(struct site *r, size_t at, const char *dir, uint64_t seed, size_t *taken);
/* Of the store as it was judged last: every tick of every device has a reading or lies in a gap,
 * and not both. For a run whose devices stay. */
void script_assert_told(const struct site *r);

#endif

/* Figures for the page: how much is held, how long it lasts, what it costs the flash. */
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "gateway/store/store_int.h"

#define SLOT_MS INT64_C(3600000)
#define DAY_MS (24 * SLOT_MS)
#define PRIME_ROWS 4096 /* batches of the day before the start that are looked at */
#define SYSFS "/sys"
#define PROC_IO "/proc/self/io"

/* ---- what came within the last day ---- */

static int64_t slot_of(int64_t at_ms)
{
    int64_t rest = at_ms % SLOT_MS;
    return (at_ms - (rest < 0 ? rest + SLOT_MS : rest)) / SLOT_MS;
}

void store_day_begin(struct store_day *d, int64_t at_ms)
{
    memset(d, 0, sizeof *d);
    d->since_ms = at_ms;
    d->slot = slot_of(at_ms);
}

void store_day_add(struct store_day *d, int64_t at_ms, int64_t bytes)
{
    int64_t slot = slot_of(at_ms);
    if (slot - d->slot >= STORE_DAY_SLOTS)
        memset(d->bytes, 0, sizeof d->bytes);
    else
        for (int64_t i = d->slot + 1; i <= slot; i++)
            d->bytes[(i % STORE_DAY_SLOTS + STORE_DAY_SLOTS) % STORE_DAY_SLOTS] = 0;
    if (slot > d->slot)
        d->slot = slot;
    d->bytes[(slot % STORE_DAY_SLOTS + STORE_DAY_SLOTS) % STORE_DAY_SLOTS] += bytes;
}

int64_t store_day_sum(struct store_day *d, int64_t at_ms, int64_t *window_ms)
{
    int64_t sum = 0, first = (slot_of(at_ms) - STORE_DAY_SLOTS + 1) * SLOT_MS;
    store_day_add(d, at_ms, 0);
    for (int i = 0; i < STORE_DAY_SLOTS; i++)
        sum += d->bytes[i];
    *window_ms = at_ms - (d->since_ms > first ? d->since_ms : first);
    return sum;
}

/* ---- at the start ---- */

/* Takes over what the store sealed within the last day, back to a window that says it was off. */
static enum st prime(struct store *s, struct err *e)
{
    struct clk_time now = clk_now(s->clk);
    int64_t mono_ms = clk_mono(s->clk).ms, since_ms = mono_ms;
    store_day_begin(&s->sealed_day, mono_ms);
    if (now.grade == CLK_UNKNOWN)
        return ST_OK;
    struct {
        int64_t at_ms, bytes;
    } hour[STORE_DAY_SLOTS] = {0};
    sqlite3_stmt *q = store_db_use(&s->db, SQL_BATCH_SIZES, e);
    if (!q)
        return ST_IO;
    sqlite3_bind_int(q, 1, PRIME_ROWS);
    enum st st;
    while ((st = store_db_row(&s->db, q, e)) == ST_OK) {
        int64_t from_ms = sqlite3_column_int64(q, 0), to_ms = sqlite3_column_int64(q, 1);
        int64_t age_ms = now.utc_ms - to_ms;
        if (age_ms < 0 || age_ms >= DAY_MS - SLOT_MS || to_ms - from_ms > SLOT_MS)
            break;
        since_ms = mono_ms - (now.utc_ms - from_ms);
        hour[age_ms / SLOT_MS].at_ms = mono_ms - age_ms;
        hour[age_ms / SLOT_MS].bytes += sqlite3_column_int64(q, 2);
    }
    sqlite3_reset(q);
    store_day_begin(&s->sealed_day, since_ms);
    for (int i = STORE_DAY_SLOTS - 1; i >= 0; i--)
        if (hour[i].bytes)
            store_day_add(&s->sealed_day, hour[i].at_ms, hour[i].bytes);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st store_figures_start(struct store *s, struct err *e)
{
    store_day_begin(&s->written_day, clk_mono(s->clk).ms);
    s->written_bytes = store_wear_written(PROC_IO);
    struct stat sb;
    if (stat(s->path, &sb) == 0)
        store_wear_read(SYSFS, major(sb.st_dev), minor(sb.st_dev), &s->stats.wear);
    return prime(s, e);
}

/* ---- now ---- */

/* The oldest time that a data batch covers; false: there is none. */
static bool held_from(struct store *s, int64_t *from_ms)
{
    sqlite3_stmt *q = store_db_use(&s->db, SQL_HELD_FROM, NULL);
    if (!q || store_db_row(&s->db, q, NULL) != ST_OK)
        return false;
    bool any = sqlite3_column_type(q, 0) != SQLITE_NULL;
    *from_ms = sqlite3_column_int64(q, 0);
    sqlite3_reset(q);
    return any;
}

/* How long the rest of max_size takes what is sealed, at the rate of the last day; -1: no rate. */
static int64_t autonomy_ms(int64_t left_bytes, int64_t sealed_bytes, int64_t window_ms)
{
    if (sealed_bytes <= 0 || window_ms < STORE_RATE_MS)
        return -1;
    double ms = left_bytes > 0 ? (double)left_bytes / (double)sealed_bytes * (double)window_ms : 0;
    return ms < (double)STORE_AUTONOMY_MAX_MS ? (int64_t)ms : STORE_AUTONOMY_MAX_MS;
}

void store_figures(struct store *s, struct store_figures *f)
{
    int64_t mono_ms = clk_mono(s->clk).ms, left = 0, written = store_wear_written(PROC_IO);
    memset(f, 0, sizeof *f);
    if (written >= 0 && s->written_bytes >= 0)
        store_day_add(&s->written_day, mono_ms, written - s->written_bytes);
    s->written_bytes = written;
    f->flash_bytes = store_day_sum(&s->written_day, mono_ms, &f->flash_window_ms);
    if (written < 0)
        f->flash_window_ms = 0;
    f->sealed_bytes = store_day_sum(&s->sealed_day, mono_ms, &f->sealed_window_ms);
    f->max_bytes = s->cfg.max_size_bytes;
    f->autonomy_ms = -1;
    if (!held_from(s, &f->held_from_ms))
        f->held_from_ms = 0;
    if (store_space_left(s, &left, NULL) == ST_OK)
        f->autonomy_ms = autonomy_ms(left, f->sealed_bytes, f->sealed_window_ms);
}

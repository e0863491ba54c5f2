/* A phone's position: where a walk is, as a browser on the gateway's page says, for want of gpsd.
 * No clock of a phone is believed: a fix is as old as its stamp stands behind those of its fastest
 * fix, counted from when each came here. */
#include "gateway/connectivity/survey_int.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define ACCURACY_MAX_M 1e6
#define AGE_MAX_MS INT64_C(86400000)
#define STAMP_MAX_MS (INT64_C(1) << 53) /* as a browser's numbers have them */

static enum st check(const struct connectivity_phone_fix *f, int64_t cell_m, struct err *e)
{
    if (!(fabs(f->lat) <= 90) || !(fabs(f->lon) <= 180))
        return err_set(e, ST_BAD, "lat is from -90 to 90 degrees, lon from -180 to 180");
    if (!(f->accuracy_m >= 0) || f->accuracy_m > ACCURACY_MAX_M)
        return err_set(e, ST_BAD, "accuracy_m is from 0 to %.0f m", ACCURACY_MAX_M);
    if (f->age_ms < 0 || f->age_ms > AGE_MAX_MS)
        return err_set(e, ST_BAD, "age_ms is from 0 to %" PRId64, AGE_MAX_MS);
    if (f->stamp_ms < 0 || f->stamp_ms > STAMP_MAX_MS)
        return err_set(e, ST_BAD, "stamp_ms is from 0 to 2^53");
    if (2 * f->accuracy_m > (double)cell_m)
        return err_set(e, ST_REFUSED,
                       "the position may be off by %.0f m, and a cell has %" PRId64
                       " m: half of that at most",
                       f->accuracy_m, cell_m);
    return ST_OK;
}

enum st connectivity_phone_take(struct connectivity_phone *p,
                                const struct connectivity_phone_fix *f, int64_t cell_m,
                                struct mono now, bool *fresh, struct err *e)
{
    ERR_TRY(check(f, cell_m, e));
    bool same = p->is && memcmp(p->fix.from, f->from, CONNECTIVITY_FROM_BYTES) == 0;
    bool turn = p->is && now.ms - p->taken.ms <= CONNECTIVITY_GPS_STALE_MS;
    if (turn && !same)
        return err_set(e, ST_CONFLICT, "another phone gives the position now");
    if (same && p->fix.stamp_ms == f->stamp_ms)
        return err_set(e, ST_TIMEOUT, "this fix was told before");
    /* whoever begins, or begins again, is as fast as he can be: his clock may have been set */
    int64_t ahead = f->stamp_ms - (now.ms - f->age_ms);
    int64_t most = same && turn && p->ahead_ms > ahead ? p->ahead_ms : ahead;
    int64_t age = f->age_ms + (most - ahead);
    if (age > CONNECTIVITY_GPS_STALE_MS)
        return err_set(e, ST_TIMEOUT, "this fix is %" PRId64 " s old: %d s at most", age / 1000,
                       CONNECTIVITY_GPS_STALE_MS / 1000);
    *fresh = !same || !turn;
    *p = (struct connectivity_phone){
        .is = true, .fix = *f, .fix_at = {now.ms - age}, .taken = now, .ahead_ms = most};
    return ST_OK;
}

enum connectivity_gps_state connectivity_phone_judge(const struct connectivity_phone *p,
                                                     struct mono now)
{
    if (!p->is)
        return CONNECTIVITY_GPS_NO_FIX;
    if (now.ms - p->fix_at.ms > CONNECTIVITY_GPS_STALE_MS)
        return CONNECTIVITY_GPS_STALE;
    return p->fix.has_altitude ? CONNECTIVITY_GPS_3D : CONNECTIVITY_GPS_2D;
}

enum st connectivity_phone(struct connectivity *k, const struct connectivity_phone_fix *f,
                           struct mono now, bool *fresh, bool *used, struct err *e)
{
    struct connectivity_walk *w = k->walk;
    if (!w || !w->cfg->browser)
        return err_set(e, ST_NOT_FOUND,
                       "no walk takes a phone's position: see connectivity.survey.browser");
    (void)pthread_mutex_lock(&w->m);
    enum st st = connectivity_phone_take(&w->phone, f, w->cfg->cell_m, now, fresh, e);
    *used = st == ST_OK && !w->gps_has_fix;
    (void)pthread_mutex_unlock(&w->m);
    return st;
}

/* Of an altitude nobody knows over what: by its standard over the ellipsoid, on some phones over
 * the sea, which is many metres lower or higher. So it is none. */
static void phone_place(const struct connectivity_phone *p, struct connectivity_place *out)
{
    *out = (struct connectivity_place){.source = CONNECTIVITY_BY_BROWSER,
                                       .mode = p->fix.has_altitude ? 3 : 2,
                                       .lat = p->fix.lat,
                                       .lon = p->fix.lon,
                                       .alt_m = {.kind = NUM_NONE},
                                       .error_m = num_dec(llround(p->fix.accuracy_m * 10), -1)};
}

enum connectivity_gps_state connectivity_walk_place(struct connectivity_walk *w, struct mono now,
                                                    struct connectivity_place *out)
{
    const struct connectivity_gps *g = &w->gps;
    enum connectivity_gps_state by_gps = connectivity_gps_judge(g, now), by_phone;
    bool has = by_gps >= CONNECTIVITY_GPS_2D;
    (void)pthread_mutex_lock(&w->m);
    w->gps_has_fix = has;
    by_phone = connectivity_phone_judge(&w->phone, now);
    if (!has && by_phone >= CONNECTIVITY_GPS_2D)
        phone_place(&w->phone, out);
    (void)pthread_mutex_unlock(&w->m);
    if (has)
        *out = (struct connectivity_place){.source = CONNECTIVITY_BY_GPSD,
                                           .mode = g->mode,
                                           .lat = g->lat,
                                           .lon = g->lon,
                                           .alt_m = g->alt_m,
                                           .error_m = g->error_m};
    if (has)
        return by_gps;
    return by_phone >= CONNECTIVITY_GPS_2D || !w->cfg->gpsd ? by_phone : by_gps;
}

/* Lines of any gpsd: a fix has a place on earth and figures within the limits of their quantities,
 * and one that is not there any more is not told. */
// uses: connectivity
// seeds: tests/fuzz/corpus/gpsd/*
#include <math.h>
#include <string.h>

#include "gateway/connectivity/survey_int.h"
#include "sensors/quantity.h"
#include "tests/fuzz/fuzz.h"

static void within(struct num v, const char *key)
{
    const struct quantity *q = quantity_by_key(key);
    demand(v.kind == NUM_NONE ||
           (v.kind == NUM_DEC && num_cmp(v, num_dec(q->min, -q->decimals)) >= 0 &&
            num_cmp(v, num_dec(q->max, -q->decimals)) <= 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct connectivity_gps g;
    struct mono now = {0};
    bool rare = false, was_3d = false;
    connectivity_gps_init(&g);
    g.fd = 0; /* it counts as open; nothing is read */
    while (n > 0) {
        const uint8_t *end = memchr(data, '\n', n);
        size_t len = end ? (size_t)(end - data) : n;
        char *line = malloc(len + 1); /* exact: the sanitizer sees a read beyond */
        demand(line != NULL);
        memcpy(line, data, len);
        now.ms += 1000;
        connectivity_gps_take(&g, line, len, now);
        free(line);
        enum connectivity_gps_state state = connectivity_gps_judge(&g, now);
        if (state >= CONNECTIVITY_GPS_2D) {
            demand(fabs(g.lat) <= 90 && fabs(g.lon) <= 180);
            demand(g.mode == (state == CONNECTIVITY_GPS_3D ? 3 : 2));
            within(g.alt_m, "position_altitude");
            within(g.error_m, "position_error");
            demand(now.ms - g.fix_at.ms <= CONNECTIVITY_GPS_STALE_MS);
        }
        demand(state != CONNECTIVITY_GPS_2D || g.alt_m.kind == NUM_NONE);
        demand(memchr(g.time, '\0', sizeof g.time));
        rare |= was_3d && state == CONNECTIVITY_GPS_NOTHING;
        was_3d |= state == CONNECTIVITY_GPS_3D && g.error_m.kind != NUM_NONE;
        len += end != NULL;
        data += len;
        n -= len;
    }
    g.fd = -1;
    (void)rare;
    PLANT(rare);
    return 0;
}

/* Two clocks that do not mix: `struct mono` for timeouts and periods, and UTC milliseconds with a
 * grade for data. The clock is a value that is passed in, so tests drive it. */
#ifndef GATEWAY_BASE_CLK_H
#define GATEWAY_BASE_CLK_H

#include <stdbool.h>
#include <stdint.h>

/* The batch header's `clk` numbers. */
enum clk_grade { CLK_SYNCED = 0, CLK_HOLDOVER = 1, CLK_CORRECTED = 2, CLK_UNKNOWN = 3 };

/* With an unknown clock a time is this plus the time since boot (RFC 8428: below 2^28 s a time is
 * relative). */
#define CLK_UNKNOWN_BASE_MS (INT64_C(268435456) * 1000)

struct mono {
    int64_t ms; /* CLOCK_BOOTTIME */
};

struct clk_time {
    int64_t utc_ms; /* UTC, or CLK_UNKNOWN_BASE_MS + time since boot when grade is CLK_UNKNOWN */
    enum clk_grade grade;
};

struct clk {
    struct clk_time (*now)(void *ctx);
    struct mono (*mono)(void *ctx);
    void *ctx;
};

/* The machine's clocks. Grade: synced when the kernel says so (adjtimex), holdover when it does
 * not but the date is plausible (not before this program was built), else unknown. */
const struct clk *clk_real(void);

static inline struct clk_time clk_now(const struct clk *c)
{
    return c->now(c->ctx);
}
static inline struct mono clk_mono(const struct clk *c)
{
    return c->mono(c->ctx);
}

/* "2026-11-22T03:05:10.250Z"; buf of at least CLK_TEXT_BYTES. Years 0 to 9999. */
#define CLK_TEXT_BYTES 32
const char *clk_text(int64_t utc_ms, char buf[CLK_TEXT_BYTES]);
/* Reads "2026-11-22", "2026-11-22T03:05:10[.250]Z" or a plain number of ms. */
bool clk_parse(const char *text, int64_t *utc_ms);

#endif

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
    int64_t err_ms; /* what utc_ms may be off, as far as is known; of no use when unknown */
};

#define CLK_BOOT_BYTES 40
struct clk {
    struct clk_time (*now)(void *ctx);
    struct mono (*mono)(void *ctx);
    void (*boot)(void *ctx, char id[CLK_BOOT_BYTES]); /* see clk_boot; may be NULL */
    void *ctx;
};

/* The machine's clocks (clk_real.c). The grade:
 *
 * synced    the kernel says so (adjtimex): chrony, ntpd and systemd-timesyncd all clear its
 *           STA_UNSYNC, so that none of them need be asked. err_ms is the kernel's maxerror.
 * holdover  it does not, but the date came from something that knows: the clock was synchronised
 *           earlier in this boot of the machine; or the machine has a clock that runs without power
 *           and agrees; or the date was set while we looked. err_ms: CLK_HOLDOVER_ERR_MS.
 * unknown   all else, and always a date before this program was built or, unless synced, before
 *           what clk_recall names. A date that nobody vouches for (fake-hwclock and its like) is
 * the time of the last shutdown, not the time: it counts as unknown.
 *
 * CLK_CORRECTED is no clock's grade: seal gives it to readings whose time was found later. */
const struct clk *clk_real(void);
/* What an earlier run knows, for clk_real; before its first use by another thread. same_boot: the
 * machine has not booted since, and its clock was known then at offset_ms (UTC minus time since
 * boot, which only a step of the clock changes). newest_ms: the newest known time that is stored.
 */
struct clk_past {
    int64_t newest_ms; /* 0: none */
    bool same_boot;
    int64_t offset_ms;
};
void clk_recall(const struct clk_past *p);

/* What a person's watch or a clock on battery is taken to be off. */
#define CLK_HOLDOVER_ERR_MS 60000

/* The judgement itself, pure, on what one look at the machine shows. */
struct clk_look {
    int64_t utc_ms, boot_ms; /* the two clocks */
    bool synced;
    int64_t maxerror_ms;
};
struct clk_judge {
    int64_t built_ms;                           /* no date before it can be right */
    struct clk_past past;                       /* of an earlier run */
    bool (*vouched)(void *ctx, int64_t utc_ms); /* has the machine a clock that agrees? */
    void *ctx;
    bool looked, known, asked, answer; /* its memory, from look to look: begins as zero */
    int64_t offset_ms;
};
struct clk_time clk_judge(struct clk_judge *j, const struct clk_look *x);
/* A clock that runs without power: an RTC from which the kernel took the date at boot
 * (its hctosys in /sys/class/rtc) and that still agrees; or a PC, real or virtual (an x86 kernel
 * reads CMOS clock or hypervisor before any program runs), without an RTC to compare with. `root`
 * is put before the paths: "" for the machine's own. */
bool clk_vouched(const char *root, int64_t utc_ms);

/* Of CLOCK_MONOTONIC, for time-outs of the kernel's waits: no test's clock moves it, and it stands
 * while the machine sleeps. Any thread. */
int64_t clk_physical_ms(void);

static inline struct clk_time clk_now(const struct clk *c)
{
    return c->now(c->ctx);
}
static inline struct mono clk_mono(const struct clk *c)
{
    return c->mono(c->ctx);
}
/* The id of this boot of the machine (the kernel's boot_id), within which the time since boot goes
 * on whatever is started and ended; "" when it is not known, which is like no other. */
static inline void clk_boot(const struct clk *c, char id[CLK_BOOT_BYTES])
{
    id[0] = '\0';
    if (c->boot)
        c->boot(c->ctx, id);
}

/* "2026-11-22T03:05:10.250Z"; buf of at least CLK_TEXT_BYTES. Years 0 to 9999. */
#define CLK_TEXT_BYTES 32
const char *clk_text(int64_t utc_ms, char buf[CLK_TEXT_BYTES]);
/* Reads "2026-11-22", "2026-11-22T03:05:10[.250]Z" or a plain number of ms. */
bool clk_parse(const char *text, int64_t *utc_ms);

#endif

/* A certificate that this machine's clock does not let pass. */
#include <stdio.h>

#include "gateway/uplink/uplink_int.h"

#define STEP_MS 1000 /* a clock that moved by more was set */
#define LOOK_MS 1000 /* how often that is looked at */

/* Which of the two is wrong depends on what the clock is worth. */
static const char *const words[][2] = {
    [CLK_SYNCED] = {"though it is synchronised", "renew the certificate at the city"},
    [CLK_HOLDOVER] = {"and it is not synchronised",
                      "check NTP and the RTC battery here, then the city's certificate"},
    [CLK_CORRECTED] = {"", ""},
    [CLK_UNKNOWN] = {"and the time is not known here", "bring NTP up, or replace the RTC battery"},
};

void uplink_clock_words(const struct http_reply *r, enum clk_grade grade, char *out, size_t n)
{
    char now[CLK_TEXT_BYTES], from[CLK_TEXT_BYTES], to[CLK_TEXT_BYTES];
    (void)snprintf(
        out, n, "by the clock here (%.16sZ) the city's certificate (%.10s to %.10s) %s, %s: %s",
        clk_text(r->cert.now_ms, now), clk_text(r->cert.from_ms, from), clk_text(r->cert.to_ms, to),
        r->cert.now_ms < r->cert.from_ms ? "is not valid yet" : "has expired", words[grade][0],
        words[grade][1]);
}

void uplink_clock_wait(const struct uplink_job *job)
{
    struct clk_time was = clk_now(job->clk), now = was;
    struct mono start = clk_mono(job->clk), at = start;
    int64_t moved_ms = 0;
    while (now.grade == was.grade && moved_ms <= STEP_MS && moved_ms >= -STEP_MS &&
           at.ms - start.ms < UPLINK_BACKOFF_MAX_MS && !thr_stop_wait(job->stop, LOOK_MS)) {
        now = clk_now(job->clk);
        at = clk_mono(job->clk);
        moved_ms = (now.utc_ms - was.utc_ms) - (at.ms - start.ms);
    }
}

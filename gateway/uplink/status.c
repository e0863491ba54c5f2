/* What the page says of an uplink. */
#include <stdio.h>

#include "gateway/uplink/uplink_int.h"

#define CLOCK_OFF_MS INT64_C(300000) /* slow networks and clocks on battery stay within this */

void uplink_event(struct uplink *u, enum store_severity severity, const char *what,
                  const char *text)
{
    store_event(u->job->store, severity, what, u->id, "%s", text);
    if (severity == STORE_INFO) {
        log_info("uplink %s: %s", u->id, text);
    } else {
        log_warn("uplink %s: %s", u->id, text);
    }
}

/* What fails on the way to the city and back. */
void uplink_set_fault(struct uplink *u, const char *text)
{
    uplink_set_fault_as(u, "city_trouble", text);
}

void uplink_set_fault_as(struct uplink *u, const char *why, const char *text)
{
    (void)pthread_mutex_lock(&u->lock);
    bool was = u->status.text[0] != '\0';
    u->status.online = false;
    u->status.why = why;
    u->of_store = false;
    u->head.good = false;
    (void)snprintf(u->status.text, sizeof(u->status.text), "%s", text);
    (void)pthread_mutex_unlock(&u->lock);
    if (!was) {
        uplink_event(u, STORE_WARNING, "uplink.offline", text);
    }
}

/* What fails here: it is over when that works again, batch or no batch. */
void uplink_set_store_fault(struct uplink *u, const char *text)
{
    uplink_set_fault(u, text);
    u->of_store = true;
}

static void over(struct uplink *u, const char *why)
{
    u->of_store = false;
    u->failures = 0;
    (void)pthread_mutex_lock(&u->lock);
    bool was = u->status.text[0] != '\0';
    u->status.online = u->status.last_ok_ms != 0;
    u->status.text[0] = '\0';
    u->status.why = NULL;
    (void)pthread_mutex_unlock(&u->lock);
    if (was) {
        uplink_event(u, STORE_INFO, "uplink.online", why);
    }
}

void uplink_set_store_good(struct uplink *u)
{
    if (u->of_store) {
        over(u, "what failed here works again");
    }
}

void uplink_set_settled(struct uplink *u)
{
    if (u->head.good) {
        over(u, "the city answers again, and has all that is here");
    }
    u->head.good = false;
}

void uplink_set_good(struct uplink *u)
{
    int64_t now_ms = clk_now(u->job->clk).utc_ms;
    (void)pthread_mutex_lock(&u->lock);
    bool was = u->status.text[0] != '\0';
    u->status.online = true;
    u->status.text[0] = '\0';
    u->status.why = NULL;
    u->of_store = false;
    u->status.last_ok_ms = now_ms;
    u->status.sent++;
    (void)pthread_mutex_unlock(&u->lock);
    if (was) {
        uplink_event(u, STORE_INFO, "uplink.online", "batches go out again");
    }
}

void uplink_set_stopped(struct uplink *u, const char *text)
{
    if (!text && !u->stopped) {
        return;
    }
    u->stopped = text != NULL;
    (void)pthread_mutex_lock(&u->lock);
    u->status.online = !text && u->status.last_ok_ms != 0;
    u->status.why = text ? "budget_used" : NULL;
    (void)snprintf(u->status.text, sizeof(u->status.text), "%s", text ? text : "");
    (void)pthread_mutex_unlock(&u->lock);
}

void uplink_set_unproven(struct uplink *u, bool is)
{
    (void)pthread_mutex_lock(&u->lock);
    u->status.unproven = is;
    (void)pthread_mutex_unlock(&u->lock);
}

/* A hint for people, no more: the clock is never set by it. */
void uplink_set_clock_off(struct uplink *u, const struct wire_receipt *r)
{
    struct clk_time now = clk_now(u->job->clk);
    int64_t off_ms = now.grade == CLK_UNKNOWN ? 0 : r->received_ms - now.utc_ms;
    (void)pthread_mutex_lock(&u->lock);
    u->status.clock_off_ms = off_ms > CLOCK_OFF_MS || off_ms < -CLOCK_OFF_MS ? off_ms : 0;
    (void)pthread_mutex_unlock(&u->lock);
}

/* For the technician; what libcurl says goes behind it. */
static const struct call {
    enum st st;
    const char *why, *advice;
} * call_of(enum st st)
{
    static const struct call other = {ST_OK, "city_trouble", "the call could not be made"};
    static const struct call calls[] = {
        {ST_TIMEOUT, "city_down",
         "no answer in time: check signal, cable and SIM here, then the city"},
        {ST_IO, "city_down",
         "nobody answers, or the line breaks: check network and DNS here, then the city"},
        {ST_CORRUPT, "city_stranger",
         "who answers is not proven to be the city: see ca and url of this uplink, and "
         "who stands between. Has the city changed its CA? fieldpost trust --file"},
        {ST_BAD, "city_portal",
         "what answers does not speak HTTP: see url, and who stands between"},
        {ST_FULL, "city_portal",
         "the answer is longer than any of the city's: a proxy or a sign-in page is "
         "between here and the city"},
    };
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (calls[i].st == st) {
            return &calls[i];
        }
    }
    return &other;
}

void uplink_call_failed(struct uplink *u, enum st st, const struct http_reply *r,
                        const struct err *e)
{
    if (st == ST_STOPPED) {
        return;
    }
    char text[sizeof u->status.text];
    if (st != ST_CORRUPT || r->cert.to_ms == 0) {
        u->failures++;
        (void)snprintf(text, sizeof(text), "%s (%s)", call_of(st)->advice, e->text);
        uplink_set_fault_as(u, call_of(st)->why, text);
        return;
    }
    enum clk_grade grade = clk_now(u->job->clk).grade;
    uplink_clock_words(r, grade, text, sizeof(text));
    uplink_set_fault_as(u, grade == CLK_SYNCED ? "city_certificate" : "clock_wrong", text);
    uplink_clock_wait(u->job);
    u->failures = 0; /* what the clock refused says nothing about the line */
}

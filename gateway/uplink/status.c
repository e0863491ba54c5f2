/* What the page says of an uplink. */
#include <stdio.h>

#include "gateway/uplink/uplink_int.h"

/* What fails on the way to the city and back. */
void uplink_set_fault(struct uplink *u, const char *text)
{
    (void)pthread_mutex_lock(&u->lock);
    bool was = u->status.text[0] != '\0';
    u->status.online = false;
    u->of_store = false;
    (void)snprintf(u->status.text, sizeof(u->status.text), "%s", text);
    (void)pthread_mutex_unlock(&u->lock);
    if (!was) {
        store_event(u->job->store, STORE_WARNING, "uplink.offline", u->id, "%s", text);
        log_warn("uplink %s: %s", u->id, text);
    }
}

/* What fails here, in the store: it is over when the store works again, batch or no batch. */
void uplink_set_store_fault(struct uplink *u, const char *text)
{
    uplink_set_fault(u, text);
    u->of_store = true;
}

void uplink_set_store_good(struct uplink *u)
{
    if (!u->of_store) {
        return;
    }
    u->of_store = false;
    u->failures = 0;
    (void)pthread_mutex_lock(&u->lock);
    u->status.online = u->status.last_ok_ms != 0;
    u->status.text[0] = '\0';
    (void)pthread_mutex_unlock(&u->lock);
    store_event(u->job->store, STORE_INFO, "uplink.online", u->id, "the store works again");
    log_info("uplink %s: the store works again", u->id);
}

void uplink_set_good(struct uplink *u)
{
    int64_t now_ms = clk_now(u->job->clk).utc_ms;
    (void)pthread_mutex_lock(&u->lock);
    bool was = u->status.text[0] != '\0';
    u->status.online = true;
    u->status.text[0] = '\0';
    u->of_store = false;
    u->status.last_ok_ms = now_ms;
    u->status.sent++;
    (void)pthread_mutex_unlock(&u->lock);
    if (was) {
        store_event(u->job->store, STORE_INFO, "uplink.online", u->id, "batches go out again");
        log_info("uplink %s: batches go out again", u->id);
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
    (void)snprintf(u->status.text, sizeof(u->status.text), "%s", text ? text : "");
    (void)pthread_mutex_unlock(&u->lock);
}

/* For the technician; what libcurl says goes behind it. */
static const char *call_advice(enum st st)
{
    static const struct {
        enum st st;
        const char *advice;
    } calls[] = {
        {ST_TIMEOUT, "no answer in time: check signal, cable and SIM here, then the city"},
        {ST_IO, "nobody answers, or the line breaks: check network and DNS here, then the city"},
        {ST_CORRUPT, "who answers is not proven to be the city: see ca and url of this uplink, and "
                     "who stands between. Has the city changed its CA? fieldpost trust --file"},
        {ST_BAD, "what answers does not speak HTTP: see url, and who stands between"},
        {ST_FULL, "the answer is longer than any of the city's: a proxy or a sign-in page is "
                  "between here and the city"},
    };
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (calls[i].st == st) {
            return calls[i].advice;
        }
    }
    return "the call could not be made";
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
        (void)snprintf(text, sizeof(text), "%s (%s)", call_advice(st), e->text);
        uplink_set_fault(u, text);
        return;
    }
    uplink_clock_words(r, clk_now(u->job->clk).grade, text, sizeof(text));
    uplink_set_fault(u, text);
    uplink_clock_wait(u->job);
    u->failures = 0; /* what the clock refused says nothing about the line */
}

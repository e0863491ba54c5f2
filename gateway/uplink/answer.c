/* What an answer of the city means: pure functions over what came back. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gateway/uplink/uplink_int.h"

/* ---- problem documents: flat JSON ---- */

struct scan {
    const uint8_t *p, *end;
};

static void skip_space(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r')) {
        s->p++;
    }
}

static bool take(struct scan *s, char c)
{
    skip_space(s);
    if (s->p == s->end || *s->p != (uint8_t)c) {
        return false;
    }
    s->p++;
    return true;
}

/* A string; escapes other than \" \\ \/ make it unequal to any word of ours but stay legal. */
static bool take_string(struct scan *s, char *out, size_t size)
{
    size_t n = 0;
    if (!take(s, '"')) {
        return false;
    }
    for (; s->p < s->end && *s->p != '"'; s->p++) {
        if (*s->p < ' ') {
            return false;
        }
        char c = (char)*s->p;
        if (c == '\\') {
            if (++s->p == s->end) {
                return false;
            }
            c = *s->p == '"' || *s->p == '\\' || *s->p == '/' ? (char)*s->p : '?';
        }
        if (n + 1 < size) {
            out[n++] = c;
        }
    }
    out[n] = '\0';
    return take(s, '"');
}

/* A number or a literal. */
static bool skip_plain(struct scan *s)
{
    const uint8_t *from = s->p;
    while (s->p < s->end && strchr("0123456789+-.eEtrufalsn", *s->p) && *s->p) {
        s->p++;
    }
    return s->p > from;
}

bool uplink_problem_member(const uint8_t *p, size_t n, const char *name, char *out, size_t size)
{
    struct scan s = {p, p + n};
    bool found = false;
    if (n == 0 || !take(&s, '{')) {
        return false;
    }
    do {
        char key[64], value[512];
        if (!take_string(&s, key, sizeof(key)) || !take(&s, ':')) {
            return false;
        }
        skip_space(&s);
        bool text = s.p < s.end && *s.p == '"';
        if (!(text ? take_string(&s, value, sizeof(value)) : skip_plain(&s))) {
            return false;
        }
        if (strcmp(key, name) == 0) {
            if (found || !text || strlen(value) >= size) {
                return false;
            }
            memcpy(out, value, strlen(value) + 1);
            found = true;
        }
    } while (take(&s, ','));
    if (!take(&s, '}')) {
        return false;
    }
    skip_space(&s);
    return found && s.p == s.end;
}

/* ---- the verdict ---- */

/* The city's closed list of codes; what is not in it is tried again. */
static const struct {
    const char *code;
    int status; /* 0: any */
    enum uplink_action action;
    const char *why, *advice;
} codes[] = {
    {"bad_cbor", 0, UPLINK_REFUSED, "city_trouble", "the city cannot read this batch"},
    {"bad_signature", 0, UPLINK_REFUSED, "city_trouble", "the city cannot verify this batch"},
    {"conflict", 409, UPLINK_CONFLICT, "city_trouble",
     "the city holds another batch under this number"},
    {"wrong_gateway", 0, UPLINK_RETRY, "enrol_missing",
     "gateway.id is not the one that the city expects"},
    {"unknown_gateway", 0, UPLINK_RETRY, "enrol_missing",
     "the city does not know this gateway: enrol it there"},
    {"unknown_key", 0, UPLINK_KEY, "enrol_missing",
     "the city does not know this key: enrol the public key there"},
    {"unauthorized", 0, UPLINK_KEY, "enrol_revoked",
     "the city does not take this gateway's key any more: it was revoked, ask there"},
    {"version", 0, UPLINK_HOLD, "city_trouble",
     "the city cannot take this version of batches: upgrade it"},
    {"unsupported_type", 0, UPLINK_HOLD, "city_trouble",
     "the city cannot take this kind of batch: upgrade it"},
    {"too_large", 0, UPLINK_HOLD, "city_trouble",
     "the city's size limit is too small for this batch"},
    {"rate", 0, UPLINK_RETRY, "city_down", "the city asks for a pause"},
    {"unavailable", 0, UPLINK_RETRY, "city_down", "the city is not ready; it will be tried again"},
};

static const struct {
    int from, to;
    enum uplink_action action;
    const char *why, *advice;
} statuses[] = {
    {300, 399, UPLINK_RETRY, "city_trouble",
     "redirected: something between here and the city answers, or the "
     "address in url is wrong"},
    {401, 401, UPLINK_RETRY, "enrol_missing", "the city does not let this gateway in"},
    {403, 403, UPLINK_RETRY, "enrol_missing", "the city forbids it: see the enrolment there"},
    {404, 404, UPLINK_RETRY, "city_trouble", "nothing of the city at this address: check url"},
    {407, 407, UPLINK_RETRY, "city_portal", "a proxy wants a login"},
    {429, 429, UPLINK_RETRY, "city_down", "the city asks for a pause"},
    {502, 504, UPLINK_RETRY, "city_down", "the city is not ready; it will be tried again"},
};

/* Media type without parameters. */
static bool is_type(const char *have, const char *want)
{
    size_t n = strlen(want);
    return strncasecmp(have, want, n) == 0 && (have[n] == '\0' || have[n] == ';' || have[n] == ' ');
}

static bool about_us(const struct http_reply *r, const uint8_t hash[WIRE_HASH_BYTES])
{
    char theirs[2 * WIRE_HASH_BYTES + 1], ours[2 * WIRE_HASH_BYTES + 1];
    wire_hex(hash, WIRE_HASH_BYTES, ours);
    return uplink_problem_member(r->body.p, r->body.n, "sha256", theirs, sizeof(theirs)) &&
           strcasecmp(theirs, ours) == 0;
}

#define PAGE                                                                                       \
    "a web page came in place of the city's answer: a proxy or a sign-in page is between here "    \
    "and "                                                                                         \
    "the city: sign in to this network, or use another"

static struct uplink_verdict by_status(int status, bool page)
{
    struct uplink_verdict v = {.action = UPLINK_HOLD,
                               .why = page ? "city_portal" : "city_trouble",
                               .advice = page ? PAGE : "an answer that was not expected"};
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        if (status >= statuses[i].from && status <= statuses[i].to) {
            v.action = statuses[i].action;
            v.why = statuses[i].why;
            v.advice = statuses[i].advice;
        }
    }
    return v;
}

struct uplink_verdict uplink_judge(const struct http_reply *r, const uint8_t hash[WIRE_HASH_BYTES])
{
    bool page = is_type(r->content_type, "text/html");
    if (r->status == 200 || r->status == 201) {
        return page ? (struct uplink_verdict){.action = UPLINK_RETRY,
                                              .why = "city_portal",
                                              .advice = PAGE}
                    : (struct uplink_verdict){.action = UPLINK_ACCEPTED, .advice = ""};
    }
    struct uplink_verdict v = by_status(r->status, page);
    char code[UPLINK_CODE_BYTES];
    if (!is_type(r->content_type, "application/problem+json") ||
        !uplink_problem_member(r->body.p, r->body.n, "code", code, sizeof(code))) {
        return v;
    }
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (strcmp(code, codes[i].code) != 0) {
            continue;
        }
        bool final = codes[i].action == UPLINK_REFUSED || codes[i].action == UPLINK_CONFLICT;
        if (final && (r->status < 400 || r->status > 499 || !about_us(r, hash) ||
                      (codes[i].status && r->status != codes[i].status))) {
            return v;
        }
        v.action = codes[i].action;
        v.why = codes[i].why;
        v.advice = codes[i].advice;
        memcpy(v.code, code, sizeof(v.code));
    }
    return v;
}

int64_t uplink_backoff_ms(unsigned failures, uint32_t random, long retry_after_s)
{
    int64_t ceiling = UPLINK_BACKOFF_FIRST_MS;
    for (unsigned i = 1; i < failures && ceiling < UPLINK_BACKOFF_MAX_MS; i++) {
        ceiling *= 2;
    }
    if (ceiling > UPLINK_BACKOFF_MAX_MS) {
        ceiling = UPLINK_BACKOFF_MAX_MS;
    }
    int64_t wait = (int64_t)((uint64_t)ceiling * random >> 32);
    int64_t asked = retry_after_s > UPLINK_RETRY_AFTER_MAX_MS / 1000 ? UPLINK_RETRY_AFTER_MAX_MS
                    : retry_after_s > 0                              ? retry_after_s * 1000
                                                                     : 0;
    /* jitter on top, so that many gateways do not come back in the same instant */
    return asked > 0 ? asked + wait : wait;
}

/* One-time codes for enrolment: made by the city's operator, printed on a label, typed at the box.
 * Only a salted hash is kept; 75 random bits need no slow one. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "gateway/city/est_int.h"

#define SALT_BYTES 16
#define KEEP_MS (INT64_C(90) * 86400000) /* how long it can be told that a code was used */

static void hash_of(const uint8_t salt[SALT_BYTES], const char *code, uint8_t out[WIRE_HASH_BYTES])
{
    uint8_t all[SALT_BYTES + CITY_CLAIM_SYMBOLS];

    memcpy(all, salt, SALT_BYTES);
    memcpy(all + SALT_BYTES, code, CITY_CLAIM_SYMBOLS);
    wire_sha256(all, sizeof all, out);
    explicit_bzero(all, sizeof all);
}

/* In a time that does not tell how much of it is right. */
static bool same(const uint8_t a[WIRE_HASH_BYTES], const uint8_t b[WIRE_HASH_BYTES])
{
    unsigned diff = 0;

    for (size_t i = 0; i < WIRE_HASH_BYTES; i++)
        diff |= (unsigned)(a[i] ^ b[i]);
    return diff == 0;
}

/* ---- making -------------------------------------------------------------------------------- */

static enum st keep(struct city_db *d, const char *gw, const char *code, const struct city_claim *c,
                    int64_t now_ms, int64_t until_ms, struct err *e)
{
    uint8_t salt[SALT_BYTES], hash[WIRE_HASH_BYTES];

    ERR_TRY(wire_random(salt, sizeof salt, e));
    hash_of(salt, code, hash);
    ERR_TRY(city_db_exec(d, "BEGIN IMMEDIATE", e));
    enum st st = city_db_run(d, city_db_bind(d, SQL_CLAIM_FORGET, "i", now_ms - KEEP_MS), e);
    if (st == ST_OK)
        st = city_db_run(d, city_db_bind(d, SQL_CLAIM_END, "ti", gw, now_ms), e);
    if (st == ST_OK)
        st = city_db_run(d,
                         city_db_bind(d, SQL_CLAIM_ADD, "tbbiii", gw, salt, sizeof salt, hash,
                                      sizeof hash, now_ms, until_ms, (int64_t)c->replaces),
                         e);
    return st == ST_OK ? city_db_exec(d, "COMMIT", e) : st; /* closing the connection undoes it */
}

enum st city_claim(const struct city_cfg *cfg, const char *id, int64_t valid_ms, bool replaces,
                   struct city_claimed *out, struct err *e)
{
    const struct city_claim c = {.replaces = replaces};
    uint8_t bits[10], pin[WIRE_HASH_BYTES];
    char code[WIRE_CODE_MAX + 1];
    struct city_db d = {0};
    int64_t now_ms = clk_now(clk_real()).utc_ms;

    if (!id_is_text(id))
        return err_set(e, ST_BAD, "\"%s\": an id is [A-Za-z0-9][A-Za-z0-9._-]*, at most 64 bytes",
                       id);
    if (!city_enrols(cfg))
        return err_set(e, ST_BAD,
                       "enrolment is off: the configuration has no ca (fieldpost-city ca)");
    if (clk_now(clk_real()).grade == CLK_UNKNOWN)
        return err_set(e, ST_BUSY, "the clock is not set: a code would end at a wrong time");
    ERR_TRY(city_ca_pin(cfg->cert, pin, e));
    wire_code_write(pin, CITY_PIN_SYMBOLS, out->pin);
    ERR_TRY(wire_random(bits, sizeof bits, e));
    wire_code_write(bits, CITY_CLAIM_SYMBOLS, out->code);
    out->until_ms = now_ms + valid_ms;
    ERR_TRY(wire_code_read(out->code, CITY_CLAIM_SYMBOLS, code, e));
    enum st st = city_db_open(&d, cfg->db, CITY_DB_WRITE, e);
    if (st == ST_OK)
        st = keep(&d, id, code, &c, now_ms, out->until_ms, e);
    city_db_close(&d);
    explicit_bzero(code, sizeof code);
    return st;
}

/* ---- finding ------------------------------------------------------------------------------- */

/* One row that this code is of. */
static enum city_claim_is judge(sqlite3_stmt *s, const char *gw,
                                const uint8_t spki[WIRE_HASH_BYTES], int64_t now_ms,
                                struct city_claim *out)
{
    uint8_t held[WIRE_HASH_BYTES];

    if (strcmp((const char *)sqlite3_column_text(s, 1), gw) != 0)
        return CITY_CLAIM_FOREIGN;
    out->id = sqlite3_column_int64(s, 0);
    out->replaces = sqlite3_column_int(s, 6) != 0;
    /* whoever lost the answer asks again with the same key, and gets the same certificate */
    out->again = city_db_blob(s, 7, held, sizeof held) && same(held, spki);
    if (sqlite3_column_type(s, 5) != SQLITE_NULL && !out->again)
        return CITY_CLAIM_USED;
    return sqlite3_column_int64(s, 4) <= now_ms ? CITY_CLAIM_EXPIRED : CITY_CLAIM_GOOD;
}

enum city_claim_is city_claim_find(struct city_db *d, const char *gw, const char *text,
                                   const uint8_t spki[WIRE_HASH_BYTES], int64_t now_ms,
                                   struct city_claim *out, struct err *e)
{
    char code[WIRE_CODE_MAX + 1];
    uint8_t salt[SALT_BYTES], hash[WIRE_HASH_BYTES], got[WIRE_HASH_BYTES];
    enum city_claim_is is = CITY_CLAIM_UNKNOWN;
    enum st st;

    *out = (struct city_claim){0};
    if (wire_code_read(text, CITY_CLAIM_SYMBOLS, code, NULL) != ST_OK)
        return CITY_CLAIM_MISTYPED;
    /* the gateway's own first; of others' so many that it stays quick */
    sqlite3_stmt *s = city_db_bind(d, SQL_CLAIMS, "t", gw);
    while ((st = city_db_step(d, s, e)) == ST_OK && is == CITY_CLAIM_UNKNOWN) {
        if (!city_db_blob(s, 2, salt, sizeof salt) || !city_db_blob(s, 3, hash, sizeof hash))
            continue;
        hash_of(salt, code, got);
        if (same(hash, got))
            is = judge(s, gw, spki, now_ms, out);
    }
    sqlite3_reset(s);
    explicit_bzero(code, sizeof code);
    return st == ST_IO ? CITY_CLAIM_UNAVAILABLE : is;
}

/* ---- wrong guesses -------------------------------------------------------------------------- */

#define EVERY_MS 60000 /* a wrong guess is forgotten in this time */
enum { PEER, GATEWAY };
static const unsigned allowed[] = {[PEER] = 5, [GATEWAY] = 20};

enum st city_guesses_init(struct city_guesses *g, struct err *e)
{
    memset(g, 0, sizeof *g);
    return wire_random(g->seed, sizeof g->seed, e);
}

/* The buckets of a peer, where all of an IPv6 site are one, and of a gateway. The seed keeps others
 * from choosing a name that shares a bucket. */
static void places(const struct city_guesses *g, const char *peer, const char *gw, size_t at[2])
{
    uint8_t text[sizeof g->seed + 64] = {0}, hash[WIRE_HASH_BYTES], v6[16];
    size_t n = sizeof g->seed;

    memcpy(text, g->seed, n);
    if (inet_pton(AF_INET6, peer, v6) == 1)
        memcpy(text + n, v6, 8);
    else
        memcpy(text + n, peer, strnlen(peer, 63));
    wire_sha256(text, sizeof text, hash);
    at[PEER] = (size_t)(hash[0] << 8 | hash[1]) % CITY_GUESS_BUCKETS;
    memset(text + n, 0, sizeof text - n);
    memcpy(text + n, gw, strnlen(gw, 64));
    wire_sha256(text, sizeof text, hash);
    at[GATEWAY] = (size_t)(hash[0] << 8 | hash[1]) % CITY_GUESS_BUCKETS;
}

/* How many wrong guesses count now. */
static unsigned level(const struct city_guesses *g, int who, size_t at, int64_t now_ms)
{
    int64_t gone = (now_ms - g->bucket[who][at].at_ms) / EVERY_MS;
    unsigned wrong = g->bucket[who][at].wrong;

    return gone >= (int64_t)wrong ? 0 : wrong - (unsigned)gone;
}

bool city_guesses_may(const struct city_guesses *g, const char *peer, const char *gw,
                      int64_t now_ms, int64_t *wait_s)
{
    size_t at[2];
    bool may = true;

    places(g, peer, gw, at);
    for (int who = PEER; who <= GATEWAY; who++)
        may = level(g, who, at[who], now_ms) < allowed[who] && may;
    *wait_s = EVERY_MS / 1000;
    return may;
}

void city_guesses_wrong(struct city_guesses *g, const char *peer, const char *gw, int64_t now_ms)
{
    size_t at[2];

    places(g, peer, gw, at);
    for (int who = PEER; who <= GATEWAY; who++) {
        g->bucket[who][at[who]].wrong = level(g, who, at[who], now_ms) + 1;
        g->bucket[who][at[who]].at_ms = now_ms;
    }
}

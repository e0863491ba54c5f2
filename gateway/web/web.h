/* Web: the technician's page and the API under /api/v1/ (gateway/doc/openapi.yaml). */
#ifndef GATEWAY_WEB_WEB_H
#define GATEWAY_WEB_WEB_H

#include "gateway/base/cfg.h"
#include "gateway/base/clk.h"
#include "gateway/store/store.h"

struct web_cfg {
    char *listen;             /* default 127.0.0.1:8080; "off": no page */
    char *cert;               /* PEM file with key and certificate; NULL: the page makes its own */
    struct cfg_strings names; /* under which browsers find it, beside its addresses and host name */
};
extern const struct cfg_table web_cfg_table;
/* ST_BAD, with a sentence: a name that is no DNS name, or too many. */
enum st web_check(const struct web_cfg *cfg, struct err *e) ST_MUST_CHECK;

/* What the page says of the site and of each uplink; the pointers must outlive the web room.
 * Stage rooms do not know each other, so main hands the uplinks' state in through a function. */
struct web_uplink {
    char id[65];
    bool online, required;
    char text[200];
    const char *why;      /* what text is about: a code of advice.def; NULL: all is well */
    bool unproven;        /* its receipts are of no key that counts */
    int64_t clock_off_ms; /* how far the city's clock is ahead, where that is much */
    int64_t last_ok_ms;
    uint64_t sent, acknowledged, bytes, wire_bytes;
    bool metered;
    int64_t month_bytes, budget_bytes, renews_ms; /* 0: no budget; not known */
    int64_t cert_to_ms; /* when its TLS certificate ends; 0: it has none */
    char cert_text[200];
    uint64_t trust_n;    /* the city's notice on its keys that counts last; 0: none */
    int64_t trust_to_ms; /* when what it replaced ends; 0: nothing does */
    char trust_text[200];
};
/* What main tells of a bus, of the registers behind a value, of a profile, of the signing key.
 * Texts live as long as the room. */
struct web_bus {
    char line[32];
    bool asked; /* by us: load is known */
    double load;
};
struct web_raw {
    unsigned function, address;
    const char *type, *order;
    bool scaled; /* false: the device says its scale by itself */
    struct num scale, offset;
    unsigned bytes; /* 2 to 8 */
    uint8_t raw[8];
};
struct web_profile {
    const char *name, *model, *what, *source;
    bool verified;
};
struct web_key {
    uint8_t kid[WIRE_ID_BYTES], sha256[WIRE_HASH_BYTES];
};
#define WEB_KEYS 2 /* in force, and the next one */
#define WEB_MESSAGES_MAX 5
#define WEB_CARD_BYTES 5
struct web_message { /* what an operator sent to the SIM card */
    char from[24], text[1024];
    int64_t at_ms; /* 0: not known */
};
/* The survey of a time (UTC), as GeoJSON; go_on is asked again and again, false: it is given up. */
struct web_survey_ask {
    int64_t from_ms, to_ms;
    size_t most; /* samples */
    bool (*go_on)(void *ctx);
    void *ctx;
};
/* Where a phone is, as its browser says. */
struct web_fix {
    double lat, lon, accuracy_m; /* degrees, WGS 84; of 95 % */
    bool has_altitude;
    int64_t stamp_ms, age_ms; /* of the fix, by the browser's clock; until it was sent */
    uint8_t from[WIRE_HASH_BYTES];
};
struct web_alarm { /* texts live as long as the room */
    const char *id, *series, *state, *severity, *vi, *en, *when, *unit; /* en, unit: or NULL */
    int decimals;                   /* of value, limit and clear */
    struct num limit, clear, value; /* value: NUM_NONE: none since start */
    int64_t t_ms;                   /* of the value */
    struct mono at;                 /* for its age */
    int64_t since_ms, known_ms;     /* raised, acknowledged; 0: it is not */
    char by[65];
};
/* All but alive and probe may be NULL. Any thread. */
struct web_rooms {
    void *ctx;
    /* What the configuration has of a survey: the ward's outline; a walk; one that a phone may lead
     */
    bool has_area, walks, browser;
    /* Appends. ST_FULL: too much; ST_STOPPED: given up. */
    enum st (*survey)(void *ctx, const struct web_survey_ask *ask, struct buf *out, struct err *e);
    /* *fresh: of a phone that did not have the turn; *used: the walk would use it now.
     * ST_NOT_FOUND: nothing takes one; ST_BAD; ST_TIMEOUT: too old; ST_REFUSED: too far off;
     * ST_CONFLICT: another phone has the turn. */
    enum st (*position)(void *ctx, const struct web_fix *f, bool *fresh, bool *used, struct err *e);
    bool (*bus)(void *ctx, const char *id, struct web_bus *out);
    bool (*raw)(void *ctx, const char *device, const char *point, struct web_raw *out);
    bool (*profile)(void *ctx, const char *device, struct web_profile *out);
    /* Waits for nothing. ST_NOT_FOUND; ST_FULL: later. */
    enum st (*probe)(void *ctx, const char *bus, int unit, struct err *e);
    /* The newest first; card: the last digits of the SIM card's number, "" where they are not
     * known. For people who look after the box: not for tokens. */
    size_t (*messages)(void *ctx, struct web_message out[WEB_MESSAGES_MAX],
                       char card[WEB_CARD_BYTES]);
    bool (*alive)(void *ctx); /* all threads are */
    /* From `first` on, in the configuration's order; returns how many. */
    size_t (*alarms)(void *ctx, size_t first, struct web_alarm *out, size_t max);
    /* Waits for nothing. ST_NOT_FOUND; ST_CONFLICT: it is not raised, or known already. */
    enum st (*acknowledge)(void *ctx, const char *id, const char *by, struct err *e);
    /* The text of a day's proof, and that text as a picture (SVG). */
    enum st (*proof)(struct buf *out, const char *gw, int64_t day, struct wire_span cose);
    enum st (*picture)(struct wire_span text, struct buf *out, struct err *e);
    struct web_key key[WEB_KEYS];
    size_t keys;
    uint8_t config[WIRE_HASH_BYTES];
};
struct web_site {
    struct web_rooms rooms;
    const char *id, *name, *territory, *language, *version;
    double lat, lon;
    bool located;
    size_t (*uplinks)(void *ctx, struct web_uplink *out, size_t max);
    void *uplinks_ctx;
    /* Takes a SenML pack that a program posted; durable when it returns ST_OK. ST_BAD,
     * ST_NOT_FOUND: not in this form. *taken: readings that are new. */
    enum st (*post)(void *ctx, const void *pack, size_t n, size_t *taken, struct err *e);
    void *post_ctx;
};
struct web;
/* *out is NULL with ST_OK when listen is "off". Copies *site; what it points to must outlive the
 * room. The API: gateway/web/api.c. */
enum st web_open(struct web **out, const struct web_cfg *cfg, const struct web_site *site,
                 struct store *s, const struct clk *clk, struct err *e) ST_MUST_CHECK;
unsigned web_port(const struct web *w); /* 0 for NULL */
void web_close(struct web *w);          /* takes NULL */

/* ---- the first sentence (advice.c; decision 0042) ------------------------------------------- */

/* What a piece of advice says, in "vi" or "en": json is an object of jansson with `code` and
 * `params`, as /api/v1/advice gives it, and is taken for hostile: its values fill the sentence's
 * blanks and are no text to be filled again; what could steer a terminal is left out. false: not
 * such an object, or not a code, or not a language. Any thread. */
#define WEB_SENTENCE_BYTES 600
bool web_say(const char *language, const void *json, char sentence[WEB_SENTENCE_BYTES],
             char next[WEB_SENTENCE_BYTES]);

/* Of the files beside the store that say who may do what, one writer at a time: how long a change
 * waits for another's before it fails with ST_BUSY. At first 100 ms, for the server's one thread
 * must not stand; a tool says more before it begins, on its one thread. */
void web_kept_wait(int64_t ms);

/* ---- tokens of the API (token.c; decision 0025) -------------------------------------------- */

/* What a token lets its holder do; a bit for each in web_token.scopes. */
enum web_scope {
    WEB_CORRECT,
    WEB_MAINTAIN,
    WEB_RETIRE,
    WEB_PUSH,
    WEB_ENTER,
    WEB_PROBE,
    WEB_METRICS,
    WEB_READ,
    WEB_SCOPES
};
extern const char *const web_scope_text[WEB_SCOPES + 1]; /* ends with NULL */
#define WEB_SCOPES_TEXT 65
/* "correct,retire". false: one of them is unknown, or there is none. */
bool web_scopes_parse(const char *text, unsigned *scopes);
void web_scopes_print(unsigned scopes, char out[WEB_SCOPES_TEXT]);

#define WEB_TOKENS ".tokens" /* the file: the store's path and this, mode 0600 */
#define WEB_TOKENS_MAX 64
#define WEB_TOKEN_TEXT 69
struct web_token {
    char name[65]; /* whose: the author of what it asks for; an id (base/id.h) */
    unsigned scopes;
    int64_t made_ms, ends_ms; /* UTC; ends_ms 0: it does not end */
    uint8_t hash[WIRE_HASH_BYTES];
};
struct web_tokens {
    size_t n;
    struct web_token v[WEB_TOKENS_MAX];
};
/* All of them; none when there is no file. ST_REFUSED: others may use the file; ST_CORRUPT. */
enum st web_tokens_read(const char *store, struct web_tokens *out, struct err *e) ST_MUST_CHECK;
/* Makes one for t->name with these scopes and times; text is the token, kept nowhere else. `by`:
 * who makes it, for the event that the gateway has of it (token.made: name, scopes, end, never the
 * token), without which there is none. ST_CONFLICT: that name has one; ST_FULL. */
enum st web_token_add(const char *store, struct web_token *t, const char *by, struct clk_time now,
                      char text[WEB_TOKEN_TEXT], struct err *e) ST_MUST_CHECK;
/* Ends it, also when that cannot be told (token.removed): then the error says so. */
enum st web_token_remove(const char *store, const char *name, const char *by, struct clk_time now,
                         struct err *e) ST_MUST_CHECK;
/* Whose it is, in the same time whatever it is; NULL: nobody's. Not whether it has ended. */
const struct web_token *web_token_find(const struct web_tokens *all, const char *text);

/* ---- users of the page (user.c, claim.c; decision 0040) ------------------------------------- */

/* Each may do what those before it may. */
enum web_role { WEB_VIEWER, WEB_TECHNICIAN, WEB_ADMINISTRATOR, WEB_ROLES };
extern const char *const web_role_text[WEB_ROLES + 1]; /* ends with NULL */
bool web_role_parse(const char *text, enum web_role *role);

#define WEB_USERS ".users" /* the file: the store's path and this, mode 0600 */
#define WEB_USERS_MAX 32
#define WEB_PASSWORD_MIN 10 /* bytes */
#define WEB_PASSWORD_MAX 128
#define WEB_SALT_BYTES 16
struct web_secret { /* what is kept of a password: PBKDF2-HMAC-SHA-256 */
    unsigned rounds;
    uint8_t salt[WEB_SALT_BYTES], hash[WIRE_HASH_BYTES];
};
struct web_user {
    char name[65]; /* an id (base/id.h) */
    enum web_role role;
    int64_t made_ms; /* UTC: when the password was set */
    struct web_secret secret;
};
struct web_users {
    size_t n;
    struct web_user v[WEB_USERS_MAX];
};
/* All of them; none when there is no file. ST_REFUSED: others may use the file; ST_CORRUPT. */
enum st web_users_read(const char *store, struct web_users *out, struct err *e) ST_MUST_CHECK;
struct web_user *web_user_find(struct web_users *all, const char *name); /* NULL: none */
/* Whether a user has this name, as far as the file can be read. */
bool web_user_is(const char *store, const char *name);
/* ST_BAD, with a sentence: too short, too long, with control characters, no UTF-8, or the name. */
enum st web_password_check(const char *password, const char *name, struct err *e) ST_MUST_CHECK;
/* Another salt, with the rounds of today; the hash is still to come (web_secret_hash). */
enum st web_secret_new(struct web_secret *s, struct err *e) ST_MUST_CHECK;
/* Takes a tenth of a second and more on ARM. */
void web_secret_hash(const struct web_secret *s, const char *password,
                     uint8_t out[WIRE_HASH_BYTES]);

enum web_user_how {
    WEB_USER_ADD,    /* ST_CONFLICT: the name is taken, also by a token */
    WEB_USER_CHANGE, /* ST_NOT_FOUND */
    WEB_USER_SET     /* adds it, or changes the one of that name */
};
/* Writes the user, and tells the gateway's events who did it (user.added, user.changed), without
 * which nothing is changed. secret NULL: the password stays (WEB_USER_CHANGE); role NULL: that
 * does. claim: the claim code, which is used up with it and before it, so that no two users come of
 * one, also where two ask at once or the power goes; ST_NOT_FOUND: it is not good, or not any more.
 * NULL: without. ST_FULL; ST_REFUSED: it is the last administrator, and `force` is not said;
 * ST_BUSY: see web_kept_wait. */
struct web_user_put {
    const char *name;
    const enum web_role *role;
    const struct web_secret *secret;
    enum web_user_how how;
    bool force;
    const char *from;  /* the address of who does it, for the event alone; may be NULL */
    const char *claim; /* a claim code that is used up with it; NULL: it takes none */
};
enum st web_user_put(const char *store, const struct web_user_put *p, const char *by,
                     struct clk_time now, struct err *e) ST_MUST_CHECK;
/* Also when that cannot be told (user.removed): then the error says so. ST_NOT_FOUND; ST_REFUSED.
 */
enum st web_user_remove(const char *store, const char *name, bool force, const char *by,
                        struct clk_time now, struct err *e) ST_MUST_CHECK;

/* The claim code, with which a person becomes administrator at the page: good once. The file, the
 * store's path and ".claim", mode 0600, has its hash alone. */
#define WEB_CLAIM ".claim"
#define WEB_CLAIM_SYMBOLS 16
#define WEB_CLAIM_TEXT WIRE_CODE_TEXT(WEB_CLAIM_SYMBOLS)
/* Makes one, in the place of one that was made before; an event tells who did (claim.made). */
enum st web_claim_make(const char *store, const char *by, struct clk_time now,
                       char text[WEB_CLAIM_TEXT], struct err *e) ST_MUST_CHECK;
/* Whether the text is the code. ST_BAD: it can be none (mistyped); ST_CORRUPT: it is not this one;
 * ST_NOT_FOUND: there is none. */
enum st web_claim_check(const char *store, const char *text, struct err *e) ST_MUST_CHECK;

/* ---- the page's certificate (tls.c) --------------------------------------------------------- */

#define WEB_TLS_KEY ".page.key"  /* the store's path and this; mode 0600 */
#define WEB_TLS_CERT ".page.crt" /* as well, for whoever wants to verify */
/* Of the file that the page is served with. pem: the certificate and those behind it, appended; may
 * be NULL. ST_NOT_FOUND, ST_IO: there is none yet. */
enum st web_tls_read(const struct web_cfg *cfg, const char *store, struct wire_cert *out,
                     struct buf *pem, struct err *e) ST_MUST_CHECK;

/* A fingerprint as browsers show it. */
#define WEB_PRINT_TEXT (3 * WIRE_HASH_BYTES)
void web_print(const uint8_t hash[WIRE_HASH_BYTES], char out[WEB_PRINT_TEXT]);

/* With which a tool on this machine reads the API: a token of the scope read that the gateway makes
 * anew at each start, in the store's path and ".console", mode 0600, and removes when it stops.
 * ST_NOT_FOUND: no gateway with a page runs on that store. */
#define WEB_CONSOLE ".console"
enum st web_console_read(const char *store, char text[WEB_TOKEN_TEXT], struct err *e) ST_MUST_CHECK;

#endif

/* The parts of the web room. Handlers run on the server's one thread; passwords are hashed on
 * another (hash.c), while their requests wait. */
#ifndef GATEWAY_WEB_WEB_INT_H
#define GATEWAY_WEB_WEB_INT_H

#include "gateway/base/drop.h"
#include "gateway/base/thr.h"
#include "gateway/http/http.h"
#include "gateway/web/names_int.h"
#include "gateway/web/web.h"

/* Length of the well-formed UTF-8 character at p (Unicode table 3-7), 0 when there is none. */
size_t web_utf8_length(const char *p);

/* ---- JSON out, into a bounded buffer ------------------------------------------------------ */

/* A writer that remembers its first failure: check web_json_end() once. Not thread-safe. */
struct web_json {
    struct buf *out;
    enum st st;
    bool comma; /* the next value needs one */
};
void web_json_begin(struct web_json *j, struct buf *out);
enum st web_json_end(struct web_json *j) ST_MUST_CHECK;
void web_json_open(struct web_json *j, const char *key, char bracket); /* '{' or '[' */
void web_json_close(struct web_json *j, char bracket);                 /* '}' or ']' */
/* key NULL inside an array. */
void web_json_text(struct web_json *j, const char *key, const char *text); /* NULL: null */
void web_json_int(struct web_json *j, const char *key, int64_t v);
void web_json_bool(struct web_json *j, const char *key, bool v);
void web_json_num(struct web_json *j, const char *key, struct num v); /* all digits; none: null */

/* ---- the page's files (assets.c) ----------------------------------------------------------- */

/* GET / and /a/NAME.HASH.EXT. */
void web_page(void *web, const struct http_request *q, struct http_answer *a);

/* ---- the room ----------------------------------------------------------------------------- */

/* What events told, the latest of each kind (advice_told.c). */
enum web_told_kind {
    WEB_TOLD_START,
    WEB_TOLD_STOP,
    WEB_TOLD_POWER_CUT,
    WEB_TOLD_KILLED,
    WEB_TOLD_CONFLICT,
    WEB_TOLD_BEHIND,
    WEB_TOLD_CONFIG,
    WEB_TOLD_SIGNER_DOWN,
    WEB_TOLD_SIGNER_ENDED,
    WEB_TOLD_SIGNER_UP,
    WEB_TOLD_KINDS
};
struct web_told {
    int64_t seen; /* the id of the newest event that was looked at */
    struct web_told_event {
        int64_t id, t_ms; /* id 0: there is none */
        enum clk_grade grade;
    } last[WEB_TOLD_KINDS];
};

/* What is due and not configured (due.c). */
#define WEB_DUE_MAX 100
struct web_due {
    bool known;
    int64_t version;  /* of the store */
    struct buf names; /* n of them, each with its NUL: series, or "device/STAR" */
    size_t n;
    char first[WIRE_SERIES_BYTES]; /* series; "": there is none */
};

/* The survey's result is reckoned on a thread of its own, one at a time, behind everything else
 * that this process does (survey.c). The rest: under the lock, or before and behind that
 * thread. */
struct web_surveyor {
    pthread_mutex_t lock;
    pthread_cond_t over; /* done */
    struct thr thread;
    bool ready, taken, done, closing;
    atomic_bool stop;
    _Atomic int64_t until_ms; /* monotonic, of the real clock */
    struct web *web;
    void *impl; /* of the request that waits */
    int64_t from_ms, to_ms;
    struct buf out;
    enum st st;
    struct err err;
};
enum st web_surveyor_open(struct web *w, struct err *e) ST_MUST_CHECK;
void web_surveyor_stop(struct web *w); /* before the server closes */
void web_surveyor_close(struct web *w);

struct web {
    struct web_site site;
    struct store *store;
    const struct clk *clk;
    struct store_reader *reader; /* opened by the server's thread when first needed */
    struct http_server *server;
    struct mono started;
    int64_t started_ms;
    struct web_live *live;
    struct web_told told;
    struct web_door *door; /* who may come in: sessions and all */
    unsigned tables;       /* that are being sent (readings_csv.c) */
    struct web_due due;
    struct web_surveyor surveyor;
    struct mono position; /* when the last one was looked at (position.c); 0: never */
};
/* Whether the route is one of the page's own files, which hold no data. */
bool web_is_page(const struct http_route *r);
/* Whether a Host header, or a listen address, names this machine's loopback. */
bool web_is_loopback(const char *host_port);

/* What handlers share: a JSON object as the answer; a reader of the store (NULL: the file cannot be
 * read now, the next request tries again); a decimal number in a query within [min, max], dflt when
 * it is absent. */
void web_answer_begin(struct http_answer *a, struct web_json *j);
void web_answer_end(struct http_answer *a, struct web_json *j, int status);
struct store_reader *web_reader(struct web *w);
bool web_query_int(const struct http_request *q, const char *key, int64_t min, int64_t max,
                   int64_t dflt, int64_t *out);

/* ---- single readings (readings_csv.c) ------------------------------------------------------- */

#define WEB_TABLES 2                           /* at a time, each with a reader of its own */
#define WEB_FIRST_MS (2 * CLK_UNKNOWN_BASE_MS) /* earlier times count from a boot */
#define WEB_LAST_MS (INT64_C(1) << 52)         /* and no sum with a later one is looked for */
/* A cell without the comma behind it: RFC 4180, and what a spreadsheet might take for a formula
 * stays a text. */
enum st web_csv_text(struct buf *b, const char *text, size_t n) ST_MUST_CHECK;
/* What became of a reading since it was sealed: "as_read", "corrected", "taken_back". */
const char *web_reading_state(const struct store_told_reading *t);

/* ---- the page's own words (language.c) ------------------------------------------------------ */

void *web_language_open(const char *language); /* "vi" or "en"; NULL: another one, no memory */
const char *web_language_word(const void *words, const char *key); /* NULL: there is none */
void web_language_close(void *words);                              /* takes NULL */

/* ---- JSON in (ask.c) ----------------------------------------------------------------------- */

#define WEB_ASK_MAX (16 * 1024)   /* bytes of a body */
#define WEB_PACK_MAX (256 * 1024) /* bytes of a SenML pack */
/* What a body asks for; its texts are in json. Free it, also after a failure. */
struct web_ask {
    struct store_ask ask;
    void *json;
};
/* From here on jansson wipes what it frees, in this whole process: before other threads use it. */
void web_json_wipes(void);
/* A flat object, freed with web_words_done. ST_BAD: not JSON, with the place, or not flat. */
enum st web_json_read(void **json, const void *body, size_t n, struct err *e) ST_MUST_CHECK;
/* What a member of a body may be; the list ends with key NULL. */
struct web_word {
    const char *key;
    const char **text; /* a text; NULL: a whole number */
    int64_t *number;
    bool needed; /* of a text */
};
/* Fills in those that are there; the texts are in *json, to be freed also after a failure. ST_BAD:
 * not JSON; ST_REFUSED: JSON, and not these words. */
enum st web_words_read(void **json, const struct web_word *words, const void *body, size_t n,
                       struct err *e) ST_MUST_CHECK;
void web_words_done(void *json); /* takes NULL */
/* The words of a request's body; false: the answer is made, and *json is to be freed all the same.
 */
bool web_words(const struct http_request *q, void **json, const struct web_word *words,
               struct http_answer *a);
/* Whether the body says that it is JSON, which no form of another site can. */
bool web_is_json(const struct http_request *q);
/* ST_BAD: not JSON, with the place; ST_REFUSED: JSON, and not what this kind of request takes. */
enum st web_ask_read(struct web_ask *out, enum store_ask_kind kind, const void *body, size_t n,
                     struct err *e) ST_MUST_CHECK;
void web_ask_done(struct web_ask *a);

/* ---- who asks (guard.c) --------------------------------------------------------------------- */

/* The closed list of what a request can be refused for. */
enum web_no {
    WEB_NO_JSON,
    WEB_NO_REQUEST,
    WEB_NO_TOKEN,
    WEB_NO_SUCH_TOKEN,
    WEB_NO_MORE,
    WEB_NO_SCOPE,
    WEB_NO_SESSION,
    WEB_NO_PASSWORD,
    WEB_NO_CODE,
    WEB_NO_CSRF,
    WEB_NO_ROLE,
    WEB_NO_USER,
    WEB_NO_TOKEN_OF,
    WEB_NO_SERIES,
    WEB_NO_DEVICE,
    WEB_NO_BUS,
    WEB_NO_ALARM,
    WEB_NO_CORRECTION,
    WEB_NO_ASKED,
    WEB_NO_SURVEY,
    WEB_NO_FIT,
    WEB_NO_FRESH,
    WEB_NO_EXACT,
    WEB_NO_TURN,
    WEB_NO_TYPE,
    WEB_NO_RATE,
    WEB_NO_ROOM,
    WEB_NO_STORE
};
void web_refuse(struct http_answer *a, enum web_no no, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* By what somebody was let in, for an answer without an end: it must end with that (pass.c). */
struct web_pass {
    enum { WEB_BY_NOTHING, WEB_BY_SESSION, WEB_BY_TOKEN, WEB_BY_CONSOLE } by;
    enum web_role role;            /* of the session's user */
    uint8_t hash[WIRE_HASH_BYTES]; /* the session's id, the token's hash */
    struct mono looked;            /* when web_pass_holds looked last */
};
struct web_who {
    char name[65]; /* the user's or the token's; "": it was not asked */
    struct web_pass pass;
};
/* Whether it still opens: the session has not ended, its user is there with the same password and
 * role, the token was not removed and has not ended. Looks once a second at most. No use of the
 * session. The server's thread. */
bool web_pass_holds(struct web *w, struct web_pass *pass);
struct web_session;
/* The user of a session; false, with e, where he is gone or has another password, which ends it, or
 * where it cannot be known. */
bool web_session_user(struct web *w, struct web_session *s, struct web_user *u, struct err *e);
/* For http_server_cfg.room: how many connections this address may have. */
void web_room(void *web, const char *peer, struct http_room *room);
/* Finds out who asks, and whether it may: the table of access.c says what it takes, by method and
 * path. false: the answer is made. */
bool web_allows(struct web *w, const struct http_request *q, struct web_who *who,
                struct http_answer *a);
/* Whose token it is, and that it has the scope (WEB_SCOPES: any). */
bool web_token_allows(struct web *w, const struct http_request *q, const char *text,
                      enum web_scope scope, struct web_who *who, struct http_answer *a);
/* A failure to change a file of rights; missing: what ST_NOT_FOUND says. */
void web_refuse_change(struct http_answer *a, enum st st, enum web_no missing, const struct err *e);
void web_refuse_rate(struct http_answer *a, const char *what, int64_t left_ms);

/* ---- the files that say so (kept.c) ---------------------------------------------------------- */

/* <store><suffix> as a text, of at most size - 1 bytes. ST_NOT_FOUND, with e untouched; ST_REFUSED:
 * others may use it; ST_CORRUPT; ST_IO. */
enum st web_kept_read(const char *store, const char *suffix, char *text, size_t size,
                      struct err *e) ST_MUST_CHECK;
/* The lines behind `head` of such a file, which has `most` at most, each shorter than
 * WEB_KEPT_LINE, handed out without their ends; ST_OK with none when there is no file. ST_CORRUPT:
 * `take` says no to one. */
#define WEB_KEPT_LINE 256
typedef bool web_kept_line(void *ctx, const char *line, size_t n);
enum st web_kept_lines(const char *store, const char *suffix, const char *head, size_t most,
                       web_kept_line *take, void *ctx, struct err *e) ST_MUST_CHECK;
/* Its words, between spaces; they stand in copy. false: there are fewer. */
bool web_kept_words(const char *line, size_t n, char copy[WEB_KEPT_LINE], char **word,
                    size_t words);
/* Mode 0600, whole or not at all, the property of whoever owns the store. */
enum st web_kept_write(const char *store, const char *suffix, const struct buf *b,
                       struct err *e) ST_MUST_CHECK;
enum st web_kept_remove(const char *store, const char *suffix, struct err *e) ST_MUST_CHECK;
/* Around reading and writing, or two at once would lose what one of them did; *fd is to be closed.
 * ST_REFUSED: neither the store's user nor root asks; ST_BUSY: another has it (web_kept_wait). */
enum st web_kept_lock(const char *store, int *fd, struct err *e) ST_MUST_CHECK;
bool web_kept_number(const char *text, int64_t *out);

/* ---- changes of them, and who did it (change.c; decision 0044) ------------------------------- */

/* Texts are borrowed, of one line each, and no secrets. */
struct web_change {
    const char *code;             /* of the event, and what the entry says was done */
    const char *whom;             /* an id; "": nobody's by name */
    const char *is;               /* what holds from now on, in at most 160 bytes */
    const char *by;               /* who did it */
    const char *from;             /* his address, for the event alone; "": not known */
    const char *more;             /* for the event of web_change_tell alone; NULL: none */
    enum store_severity severity; /* of that event; a change of rights is an INFO */
    struct clk_time now;
};
#define WEB_GATEWAY "the gateway" /* as an author: no id, so nobody has that name */
/* Writes <store><suffix> (after NULL: removes it) and tells the change, to the gateway that runs or
 * that will: an event and a `change` entry of the chain. Under web_kept_lock. What cannot be told
 * is not done; with `anyway` it is, and the error says why it is not told. A kill in between: the
 * next call of these two tells it, when it was done. */
enum st web_change(const char *store, const char *suffix, const struct buf *after,
                   const struct web_change *c, bool anyway, struct err *e) ST_MUST_CHECK;
/* Whether a change could be told: before what goes with it, and cannot be taken back. */
enum st web_change_can(const char *store, struct err *e) ST_MUST_CHECK;
/* Locks by itself; ST_BUSY: another changes something. */
enum st web_change_settle(const char *store, struct err *e) ST_MUST_CHECK;
/* Tells it alone, of what is done already. The same id (NULL: another) is sealed once. */
enum st web_change_tell(const char *store, const struct web_change *c,
                        const uint8_t id[WIRE_ID_BYTES], struct err *e) ST_MUST_CHECK;
/* A sign-in as `name` has to wait that long. Tells it where that is a user, and once an hour, of at
 * most WEB_LOCKED names. The server's thread. */
void web_change_locked(struct web *w, const char *name, int64_t delay_ms);

/* ---- delays for those who guess (hold.c) ----------------------------------------------------- */

struct web_hold {
    unsigned n; /* wrong ones of late */
    struct mono last, until;
};
#define WEB_HOLD_FREE 5 /* wrong ones that cost nothing: a mistake is no attack */
#define WEB_HOLD_MAX_MS 300000
/* How long the next one must wait; 0: it need not. */
int64_t web_hold_left(struct web_hold *h, struct mono now);
/* One more wrong one; the delay that it brings, 0 or from 1 s to WEB_HOLD_MAX_MS. */
int64_t web_hold_wrong(struct web_hold *h, struct mono now);

/* Two tables of fixed size, by name and by address, whose places a seeded hash chooses, so that
 * nobody is pushed out: names that share a place share the delay. Whoever signed in from an address
 * before has a delay of his own there: strangers cannot keep him out. */
#define WEB_HOLDS 256
#define WEB_KNOWN 32
struct web_holds {
    uint8_t seed[16];
    struct web_hold name[WEB_HOLDS], address[WEB_HOLDS];
    struct web_met {
        uint8_t who[WIRE_HASH_BYTES]; /* name and address */
        struct mono last;
        struct web_hold hold;
        bool is;
    } known[WEB_KNOWN];
};
/* An address that only the seed's holder finds again; of IPv6 its first 64 bits. */
void web_address_hash(const struct web_holds *seed, const char *peer, uint8_t out[WIRE_HASH_BYTES]);
/* The place of this address in a table like those. */
struct web_hold *web_hold_of(struct web_hold table[WEB_HOLDS], const struct web_holds *seed,
                             const char *peer);
/* name "": the address alone counts. peer: a numeric address; of IPv6 its first 64 bits count. */
int64_t web_holds_left(struct web_holds *h, const char *name, const char *peer, struct mono now);
int64_t web_holds_wrong(struct web_holds *h, const char *name, const char *peer, struct mono now);
/* It was right: what was counted before is forgiven, and the two are known together. */
void web_holds_right(struct web_holds *h, const char *name, const char *peer, struct mono now);

/* ---- sessions (session.c): in memory, the server's thread alone ------------------------------ */

/* A browser keeps a cookie of this name only as the door sets it: over TLS, for this host alone,
 * for every path. So nobody else's host can set one. */
#define WEB_COOKIE "__Host-fp_session"
#define WEB_SESSION_HEX 64 /* 256 random bits */
#define WEB_SESSION_IDLE_MS INT64_C(1800000)
#define WEB_SESSION_MAX_MS INT64_C(43200000)
#define WEB_SESSIONS 32
#define WEB_SESSIONS_EACH 4 /* of one user */
struct web_session {
    bool is;
    uint8_t id[WIRE_HASH_BYTES]; /* SHA-256 of the cookie's text */
    char name[65];
    uint8_t salt[WEB_SALT_BYTES];  /* of the password that began it: another password ends it */
    uint8_t peer[WIRE_HASH_BYTES]; /* where it was asked from last (web_address_hash) */
    struct mono begun, used;
};
/* The session's id in a Cookie header; false: none, two, or one that cannot be. */
bool web_cookie_read(const char *header, char id[WEB_SESSION_HEX + 1]);
/* What X-CSRF-Token must say in the session with this id. */
void web_csrf(const char *id, char out[2 * WIRE_HASH_BYTES + 1]);
/* Begins one; where all places are taken the one that was used longest ago ends, this user's
 * first. */
enum st web_session_begin(struct web_session *all, const struct web_user *u, struct mono now,
                          char id[WEB_SESSION_HEX + 1], struct err *e) ST_MUST_CHECK;
/* In the same time whatever the id is. NULL: there is none, or it has ended. use: the half hour
 * begins anew. */
struct web_session *web_session_find(struct web_session *all, const char *id, struct mono now,
                                     bool use);
struct web_session *web_session_of(struct web_session *all, const uint8_t id[WIRE_HASH_BYTES],
                                   struct mono now); /* no use */
/* Whether one that has not ended was asked from there last. */
bool web_session_from(const struct web_session *all, const uint8_t peer[WIRE_HASH_BYTES],
                      struct mono now);
void web_session_end(struct web_session *s);

/* ---- hashing beside the server (hash.c) ------------------------------------------------------ */

#define WEB_JOBS 4
struct web_job {
    struct web_hasher *of;
    void *impl; /* of the request that waits */
    enum { WEB_JOB_FREE, WEB_JOB_WAITS, WEB_JOB_RUNS, WEB_JOB_DONE, WEB_JOB_STOPPED } state;
    struct web_work {
        struct web_secret secret; /* hash is what comes out */
        char password[WEB_PASSWORD_MAX + 1];
    } work[2];
    size_t n;
};
struct web_hasher {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool ready, closing;
    struct thr thread;
    struct web_job job[WEB_JOBS];
    void (*often)(void *ctx); /* called on that thread each 3 s, too */
    void *ctx;
};
enum st web_hasher_open(struct web_hasher *h, void (*often)(void *ctx), void *ctx,
                        struct err *e) ST_MUST_CHECK;
void web_hasher_close(struct web_hasher *h); /* all requests go on, unanswered ones with a 503 */
void web_hasher_done(struct web_hasher *h);  /* behind it, and behind the server's end */
/* The request's job, done; or starts it and makes the request wait (NULL: return at once), or makes
 * the answer where that cannot be (NULL, too). */
const struct web_job *web_hash(struct web_hasher *h, const struct http_request *q,
                               const struct web_work *work, size_t n, struct http_answer *a);

/* ---- the door: all of these (access.c) ------------------------------------------------------- */

/* What is tried again each minute, and may fail each time. */
enum web_trouble {
    WEB_TROUBLE_MAKE,
    WEB_TROUBLE_USE,
    WEB_TROUBLE_ASK,
    WEB_TROUBLE_TELL,
    WEB_TROUBLE_CHANGE,
    WEB_TROUBLES
};
#define WEB_TROUBLE_TEXT 200
/* Tells an event where the text is another than was told last; NULL: it is over. The start, then
 * the hasher's thread. */
void web_trouble(struct web *w, enum web_trouble which, const char *text);

#define WEB_LOCKED 4
struct web_door {
    struct web_locked {
        char name[65]; /* "": free */
        struct mono at;
    } locked[WEB_LOCKED]; /* told of late */
    struct web_session session[WEB_SESSIONS];
    struct web_holds holds;
    struct web_hold tokens[WEB_HOLDS]; /* wrong ones, by address */
    struct web_hasher hasher;
    unsigned turn;            /* of its `often` */
    int64_t vouched_due_ms;   /* UTC: when the city's certificate is to be looked at */
    int64_t vouched_pause_ms; /* between questions, as the last answer was of no use; 0: none */
    struct mono vouched_again;
    atomic_bool taken_up; /* the server serves another certificate */
    char troubles[WEB_TROUBLES][WEB_TROUBLE_TEXT];
    uint8_t console[WIRE_HASH_BYTES];
    uint8_t nobody[WEB_SALT_BYTES]; /* of the password of those who are not there */
    struct web_cfg cfg;
    struct web_names names; /* of today: what a request may name as its host */
    pthread_mutex_t lock;   /* of names */
};
enum st web_door_open(struct web *w, const struct web_cfg *cfg, struct err *e) ST_MUST_CHECK;
void web_door_stop(struct web *w);  /* before the server closes */
void web_door_close(struct web *w); /* takes one that was not opened */
/* For http_server_cfg.admit; ctx is the web. */
bool web_admit(void *web, const struct http_request *q, struct http_answer *a);
/* The session that a request's cookie names, and its user as he is now. false: none. */
bool web_signed_in(struct web *w, const struct http_request *q, char id[WEB_SESSION_HEX + 1],
                   struct web_session **s, struct web_user *u, struct err *e);
/* The console's token, made anew. */
enum st web_console_make(const char *store, uint8_t hash[WIRE_HASH_BYTES],
                         struct err *e) ST_MUST_CHECK;

/* ---- the certificate (tls.c) ----------------------------------------------------------------- */

/* Makes key and certificate where there are none, another certificate where this one ends, lacks a
 * name or is damaged, and another key where that is, or where others could read it: *made.
 * Whichever certificate is in use is told (web_certificate_tell). At the start, then the hasher's
 * thread. */
enum st web_tls_ready(struct web *w, bool *made, struct err *e) ST_MUST_CHECK;
/* The files that the server takes; both web.cert when that is configured. */
enum st web_tls_paths(const struct web_cfg *cfg, const char *store, char cert[DROP_PATH_BYTES],
                      char key[DROP_PATH_BYTES], struct err *e) ST_MUST_CHECK;

/* ---- the certificate from the city (vouched.c) ------------------------------------------------
 */

/* Takes what the city gave, asks for another where none is good or this one nears its end, and puts
 * the one that is to be served into the file `cert`: the city's (true), or the page's own where
 * that was there before. Behind the door's names; as web_tls_ready. */
bool web_vouched_ready(struct web *w, const char *cert, const char *key, bool known);
/* Whether an answer of the city lies there, or its certificate is due to be renewed, or ends. The
 * hasher's thread, as web_vouched_ready behind the start. */
bool web_vouched_waits(const struct web *w);
/* Throws away what was asked for and what was answered: the key is another one, or web.cert counts.
 */
void web_vouched_forget(const struct web *w);
/* Tells which certificate is in use, where it is another than was told last, and why ("": nothing
 * is to be said); lost: the key is another one, too. */
void web_certificate_tell(struct web *w, const char *why, bool lost);

/* ---- what the line doctor says (line.c) ----------------------------------------------------- */

/* "findings" of the bus whose first device this is; "heard" of a device. */
void web_put_findings(struct web_json *j, struct store *s, uint32_t first);
void web_put_heard(struct web_json *j, const struct store_heard *h);

/* ---- what is due and not configured (due.c) -------------------------------------------------- */

/* The server's thread alone; as of the store's last commit. */
const struct web_due *web_due_look(struct web *w);
void web_due_done(struct web_due *d);

void web_put_not_configured(struct web_json *j, struct web *w);

/* ---- parts of several answers -----------------------------------------------------------------
 */

extern const char *const web_state_text[]; /* by enum store_state */
extern const char *const web_grade_text[]; /* by enum clk_grade */
/* Whole objects, under key (NULL: within an array). */
void web_put_device(struct web_json *j, const char *key, struct store *s, uint32_t device);
void web_put_point(struct web_json *j, const char *key, struct web *w, uint32_t series, bool raw);
void web_put_profile(struct web_json *j, const struct web *w, const char *device);
/* A batch and its receipts. */
void web_put_batch(struct web_json *j, const char *key, struct web *w, struct store_reader *r,
                   const struct store_batch *b);
/* "calibration": the last that began at t_ms or before. */
void web_put_calibration(struct web_json *j, struct store_reader *r, const char *series,
                         int64_t t_ms);
void web_put_quantities(struct web_json *j, const struct store *s);
/* Members of an object that is open. */
void web_put_uplink(struct web_json *j, struct web *w, const struct web_uplink *u);
#define WEB_UPLINKS_MAX 16
size_t web_uplinks(const struct web *w, struct web_uplink out[WEB_UPLINKS_MAX]);
/* The index of "device/point"; UINT32_MAX: there is none. */
uint32_t web_series_find(const struct store *s, const char *series);

/* ---- what the API answers -------------------------------------------------------------------- */

void web_api_status(void *web, const struct http_request *q, struct http_answer *a);
void web_api_series(void *web, const struct http_request *q, struct http_answer *a);
void web_api_advice(void *web, const struct http_request *q, struct http_answer *a);
void web_api_events(void *web, const struct http_request *q, struct http_answer *a);
void web_api_chart(void *web, const struct http_request *q, struct http_answer *a);
void web_api_correct(void *web, const struct http_request *q, struct http_answer *a);
void web_api_maintain(void *web, const struct http_request *q, struct http_answer *a);
void web_api_retire(void *web, const struct http_request *q, struct http_answer *a);
void web_api_enter(void *web, const struct http_request *q, struct http_answer *a);
void web_api_readings(void *web, const struct http_request *q, struct http_answer *a);
void web_api_request(void *web, const struct http_request *q, struct http_answer *a);
void web_api_sign_in(void *web, const struct http_request *q, struct http_answer *a);
void web_api_session(void *web, const struct http_request *q, struct http_answer *a);
void web_api_sign_out(void *web, const struct http_request *q, struct http_answer *a);
void web_api_first(void *web, const struct http_request *q, struct http_answer *a);
void web_api_password(void *web, const struct http_request *q, struct http_answer *a);
void web_api_users(void *web, const struct http_request *q, struct http_answer *a);
void web_api_user_add(void *web, const struct http_request *q, struct http_answer *a);
void web_api_user_set(void *web, const struct http_request *q, struct http_answer *a);
void web_api_user_remove(void *web, const struct http_request *q, struct http_answer *a);
void web_api_tokens(void *web, const struct http_request *q, struct http_answer *a);
void web_api_token_add(void *web, const struct http_request *q, struct http_answer *a);
void web_api_token_remove(void *web, const struct http_request *q, struct http_answer *a);
void web_api_health(void *web, const struct http_request *q, struct http_answer *a);
void web_api_readings_csv(void *web, const struct http_request *q, struct http_answer *a);
void web_api_chart_csv(void *web, const struct http_request *q, struct http_answer *a);
void web_api_messages(void *web, const struct http_request *q, struct http_answer *a);
void web_api_survey(void *web, const struct http_request *q, struct http_answer *a);
void web_api_position(void *web, const struct http_request *q, struct http_answer *a);
void web_api_device(void *web, const struct http_request *q, struct http_answer *a);
void web_api_why(void *web, const struct http_request *q, struct http_answer *a);
void web_api_why_past(void *web, const struct http_request *q, struct http_answer *a);
void web_api_probe(void *web, const struct http_request *q, struct http_answer *a);
void web_api_alarms(void *web, const struct http_request *q, struct http_answer *a);
void web_api_acknowledge(void *web, const struct http_request *q, struct http_answer *a);
void web_api_city(void *web, const struct http_request *q, struct http_answer *a);
void web_api_digest_svg(void *web, const struct http_request *q, struct http_answer *a);
void web_api_about(void *web, const struct http_request *q, struct http_answer *a);
void web_api_openapi(void *web, const struct http_request *q, struct http_answer *a);
void web_api_live(void *web, const struct http_request *q, struct http_answer *a);
void web_api_metrics(void *web, const struct http_request *q, struct http_answer *a);

size_t web_alarm_count(const struct web *w); /* that are configured (alarm.c) */

/* ---- those who watch (live.c) -----------------------------------------------------------------
 */

struct web_live;
enum st web_live_open(struct web_live **out, struct web *w, struct err *e) ST_MUST_CHECK;
/* Hangs up on all: before the server closes. Takes NULL. */
void web_live_stop(struct web_live *l);
void web_live_close(struct web_live *l); /* behind the server */

#endif

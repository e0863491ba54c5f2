/* Connectivity: what the gateway sees of its own links, as readings: ICMP latency and loss, link
 * state and rate, a modem's radio, supply and temperature of the box, the way to the city, its
 * throughput, coverage on a walk. One thread for all that never waits, and one for each that does.
 */
#ifndef GATEWAY_CONNECTIVITY_CONNECTIVITY_H
#define GATEWAY_CONNECTIVITY_CONNECTIVITY_H

#include "gateway/base/cfg.h"
#include "gateway/base/clk.h"
#include "gateway/base/thr.h"
#include "gateway/connectivity/survey.h"
#include "gateway/store/store.h"

/* Section `connectivity`: `ping: {<device id>: {host, every, count, timeout}}`,
 * `link: {<device id>: {interface, every}}`, `board: {<device id>: {sensor, every, hot}}`,
 * `path: {<device id>: {uplink | url and ca, every, timeout, interface, check}}` and
 * `throughput: {<device id>: {down, up, every, budget, …}}`, each entry a device of the gateway,
 * `modem: {port | through, every, points, interface, check}`, which is the device `modem`, and
 * `survey`, which is the device `survey` (survey.h); `sms: {numbers, per_hour}`: whom alarms reach
 * without data. */
struct connectivity_modem_cfg {
    char *port;  /* of one that is asked by AT; else NULL */
    int through; /* enum connectivity_through */
    int64_t every_ms;
    struct cfg_strings points; /* none: all */
    char *interface, *check;   /* how it is found out that the SIM card has no data; or both NULL */
    char *name, *place, *role;
};
enum connectivity_through { CONNECTIVITY_NO_MODEM, CONNECTIVITY_AT, CONNECTIVITY_MODEMMANAGER };
#define CONNECTIVITY_SMS_HOUR_MAX 60
struct connectivity_sms_cfg {
    char *numbers; /* a file; NULL: nobody */
    int64_t per_hour;
};
struct connectivity_cfg {
    struct cfg_items ping, link, path, board;
    struct connectivity_modem_cfg modem;
    struct connectivity_survey_cfg survey;
    struct cfg_items throughput; /* throughput_int.h */
    struct connectivity_sms_cfg sms;
};
extern const struct cfg_table connectivity_cfg_table;
/* What kind of device of this section has that id, by its key, such as "ping"; NULL: none. */
const char *connectivity_id_used(const struct connectivity_cfg *cfg, const char *id);

struct connectivity;
enum st connectivity_open(struct connectivity **out, const struct connectivity_cfg *cfg,
                          struct cfg *c, struct err *e) ST_MUST_CHECK;
enum st connectivity_declare(struct connectivity *k, struct store *s, struct err *e) ST_MUST_CHECK;
void connectivity_close(struct connectivity *k);
/* Complains about paths to the city of an uplink that is none of these. */
void connectivity_uplinks_check(const struct connectivity_cfg *cfg, const char *const *ids,
                                size_t n, struct cfg *c);

/* How a city is reached, and what an uplink's own traffic shows of it. */
#define CONNECTIVITY_CA_BYTES 1280
struct connectivity_city {
    const char *url, *identity; /* identity: a PEM file, which need not be there; or NULL */
    char ca[CONNECTIVITY_CA_BYTES];
    bool online;   /* its last call went well */
    int64_t ok_ms; /* UTC of the last one that did; 0: none since start */
};

/* What operators sent to the SIM card by SMS, for the page of this box and nobody else: it is in no
 * reading, event or log. */
#define CONNECTIVITY_MESSAGES_MAX 5
#define CONNECTIVITY_MESSAGE_FROM 24
#define CONNECTIVITY_MESSAGE_TEXT 1024
struct connectivity_message {
    char from[CONNECTIVITY_MESSAGE_FROM], text[CONNECTIVITY_MESSAGE_TEXT]; /* UTF-8 */
    int64_t at_ms; /* UTC, as the network stamped it; 0: it did not */
};
/* The newest first; returns how many. card: the last four digits of the SIM card's number, "" where
 * the modem does not say it, for the same readers. Any thread; waits for nothing. */
#define CONNECTIVITY_CARD_BYTES 5
size_t connectivity_messages(struct connectivity *k,
                             struct connectivity_message out[CONNECTIVITY_MESSAGES_MAX],
                             char card[CONNECTIVITY_CARD_BYTES]);

/* Sends the text by SMS to the numbers that are configured, where connectivity_has_sms says that
 * there are any, within what sms.per_hour lets; the modem's thread does it, and says in events how
 * that went. What fails is tried again for minutes. 160 characters of the GSM alphabet are one
 * message. Of more than 4 that wait the oldest is dropped. Any thread; waits for nothing. */
bool connectivity_has_sms(const struct connectivity *k);
void connectivity_sms(struct connectivity *k, const char *text);

struct connectivity_job {
    struct connectivity *connectivity;
    struct store *store;
    const struct clk *clk;
    struct thr_stop *stop;
    /* Whether nothing can be sent to the city now; any thread. NULL: there is no city. */
    bool (*city_lost)(void *ctx);
    void *city_ctx;
    /* Whether an uplink sends, or drains its backlog, now: nothing is transferred then for the sake
     * of measuring. Any thread; NULL: there is none. */
    bool (*line_used)(void *ctx);
    void *line_ctx;
    /* The city of that uplink (NULL: of the first); false: there is none. Any thread. */
    bool (*city)(void *ctx, const char *uplink, struct connectivity_city *out);
};
void connectivity_main(void *connectivity_job);
/* The modem's own thread, where connectivity_has_modem says so: its answers take seconds. */
bool connectivity_has_modem(const struct connectivity *k);
void connectivity_modem_main(void *connectivity_job);
/* The walk's own thread, where connectivity_walks says so: it waits for transfers. */
bool connectivity_walks(const struct connectivity *k);
void connectivity_walk_main(void *connectivity_job);

/* ---- a phone's position (decision 0054) --------------------------------------------------------
 */

/* What a browser's Geolocation says. */
struct connectivity_phone_fix {
    double lat, lon, accuracy_m; /* degrees, WGS 84; the radius that holds it 95 times of 100 */
    bool has_altitude;
    int64_t stamp_ms; /* of the fix, by whatever clock: only differences count */
    int64_t age_ms;   /* from the fix to its sending, by a steady clock */
    uint8_t from[32]; /* who sends: nobody reads it, the same phone has the same */
};
/* Gives the walk a position: it serves where gpsd has no fix, for 10 s from the fix on. *fresh: the
 * phone did not have the turn before. *used: the next sample would be of this position, for gpsd
 * has none. ST_NOT_FOUND: no walk takes one; ST_BAD: out of its limits; ST_TIMEOUT: older than 10
 * s, or told before; ST_REFUSED: too far off for the grid; ST_CONFLICT: another phone has the turn.
 * Then nothing is changed. Any thread; waits for nothing. */
enum st connectivity_phone(struct connectivity *k, const struct connectivity_phone_fix *f,
                           struct mono now, bool *fresh, bool *used, struct err *e) ST_MUST_CHECK;

/* ---- throughput (decision 0050) ----------------------------------------------------------- */

/* The thread that measures, where anything is configured: a transfer takes half a minute. */
bool connectivity_has_throughput(const struct connectivity *k);
void connectivity_throughput_main(void *connectivity_job);
/* An upload of our own went out over this interface ("": not known): so many bytes in so many us,
 * from the first that could be sent to `end`, that of the answer. Any thread. */
void connectivity_uploaded(struct connectivity *k, const char *interface, int64_t bytes, int64_t us,
                           struct mono end);
/* What one measurement of this device takes at most. */
struct connectivity_cost {
    const char *id;
    int64_t bytes, wait_ms; /* of all directions; and how long until its answer is there */
    int64_t budget_bytes, left_bytes; /* of this month, as the store has it; budget 0: none */
    bool down, up;
};
/* i counts what is configured from 0. ST_NOT_FOUND: there are no more; ST_IO and the like: the
 * store. reader may be NULL: left_bytes is the whole budget then. */
enum st connectivity_throughput_cost(const struct connectivity *k, size_t i,
                                     struct store_reader *reader, const struct clk *clk,
                                     struct connectivity_cost *out, struct err *e) ST_MUST_CHECK;
/* Asks the gateway that runs on this store to measure once, now, through the folder
 * STORE.throughput, and waits for its answer: one JSON object, appended. ST_NOT_FOUND: no gateway
 * takes the request; ST_TIMEOUT: it took it and has not answered within wait_ms. Another process.
 */
#define CONNECTIVITY_ASKED ".throughput"
enum st connectivity_throughput_ask(const char *store_path, const char *id, int64_t wait_ms,
                                    struct buf *answer, struct err *e) ST_MUST_CHECK;
/* Each path has a thread of its own: it waits for others. */
size_t connectivity_path_count(const struct connectivity *k);
struct connectivity_path_job {
    const struct connectivity_job *job;
    size_t i;
};
void connectivity_path_main(void *connectivity_path_job);

#endif

/* Connectivity: what the gateway sees of its own links, as readings: ICMP latency and loss, link
 * state and rate, a modem's radio, supply and temperature of the box. One thread for all that never
 * waits, and one for the modem. */
#ifndef GATEWAY_CONNECTIVITY_CONNECTIVITY_H
#define GATEWAY_CONNECTIVITY_CONNECTIVITY_H

#include "gateway/base/cfg.h"
#include "gateway/base/clk.h"
#include "gateway/base/thr.h"
#include "gateway/store/store.h"

/* Section `connectivity`: `ping: {<device id>: {host, every, count, timeout}}`,
 * `link: {<device id>: {interface, every}}`, `board: {<device id>: {sensor, every, hot}}`, each
 * entry a device of the gateway, and `modem: {port | through, every, points}`, which is the device
 * `modem`. */
struct connectivity_modem_cfg {
    char *port;  /* of one that is asked by AT; else NULL */
    int through; /* enum connectivity_through */
    int64_t every_ms;
    struct cfg_strings points; /* none: all */
    char *interface, *check;   /* how it is found out that the SIM card has no data; or both NULL */
    char *name, *place;
};
enum connectivity_through { CONNECTIVITY_NO_MODEM, CONNECTIVITY_AT, CONNECTIVITY_MODEMMANAGER };
struct connectivity_cfg {
    struct cfg_items ping, link, board;
    struct connectivity_modem_cfg modem;
};
extern const struct cfg_table connectivity_cfg_table;

struct connectivity;
enum st connectivity_open(struct connectivity **out, const struct connectivity_cfg *cfg,
                          struct cfg *c, struct err *e) ST_MUST_CHECK;
enum st connectivity_declare(struct connectivity *k, struct store *s, struct err *e) ST_MUST_CHECK;
void connectivity_close(struct connectivity *k);

/* What operators sent to the SIM card by SMS, for the page of this box and nobody else: it is in no
 * reading, event or log. */
#define CONNECTIVITY_MESSAGES_MAX 5
#define CONNECTIVITY_MESSAGE_FROM 24
#define CONNECTIVITY_MESSAGE_TEXT 1024
struct connectivity_message {
    char from[CONNECTIVITY_MESSAGE_FROM], text[CONNECTIVITY_MESSAGE_TEXT]; /* UTF-8 */
    int64_t at_ms; /* UTC, as the network stamped it; 0: it did not */
};
/* The newest first; returns how many. Any thread; waits for nothing. */
size_t connectivity_messages(struct connectivity *k,
                             struct connectivity_message out[CONNECTIVITY_MESSAGES_MAX]);

struct connectivity_job {
    struct connectivity *connectivity;
    struct store *store;
    const struct clk *clk;
    struct thr_stop *stop;
    /* Whether nothing can be sent to the city now; any thread. NULL: there is no city. */
    bool (*city_lost)(void *ctx);
    void *city_ctx;
};
void connectivity_main(void *connectivity_job);
/* The modem's own thread, where connectivity_has_modem says so: its answers take seconds. */
bool connectivity_has_modem(const struct connectivity *k);
void connectivity_modem_main(void *connectivity_job);

#endif

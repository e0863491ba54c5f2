/* MQTT: one connection to a broker that receives, over libmosquitto. Knows no room above base.
 *
 * MQTT 5 with QoS 1 and a session that the broker keeps while this side is away. What arrives is
 * acknowledged only after `commit` returned ST_OK: an acknowledgement waits in memory until then,
 * and goes with the connection when the commit fails, so that the broker sends the message again.
 */
#ifndef GATEWAY_MQTT_MQTT_H
#define GATEWAY_MQTT_MQTT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/base/err.h"

/* Messages that one commit stands for; the broker sends no more than these unacknowledged. */
#define MQTT_UNACKED_MAX 64

struct mqtt_cfg {
    const char *host;
    int port;
    /* PEM file of the CA that signed the broker's certificate, which is always verified, the host's
     * name too; TLS 1.2 or newer. NULL: no TLS. */
    const char *ca;
    const char *user, *password; /* NULL: none. The password is never told in any text */
    const char *client;          /* the id of the session */
    uint32_t session_s;          /* how long the broker keeps the session when we are away */
    uint32_t max_bytes;          /* of one message; the broker leaves larger ones out */
    const char *const *topics;   /* filters to subscribe to; a retained message is not asked for */
    size_t ntopics;
};
struct mqtt_message {
    const char *topic;
    const uint8_t *payload;
    size_t n;
    /* The handler took this message before, on a connection that broke: nothing is to be done with
     * it, and the commit that follows lets it be acknowledged. */
    bool repeat;
};
struct mqtt_hooks {
    /* Takes one message; all but ST_OK breaks the connection: it comes again. */
    enum st (*message)(void *ctx, const struct mqtt_message *m, struct err *e);
    /* Makes durable what was taken; all but ST_OK breaks the connection. */
    enum st (*commit)(void *ctx, struct err *e);
    void *ctx;
};

struct mqtt;
/* cfg and all it points to must outlive the connection. Connects nothing yet. ST_UNSUPPORTED:
 * libmosquitto is not installed. */
enum st mqtt_open(struct mqtt **out, const struct mqtt_cfg *cfg, const struct mqtt_hooks *hooks,
                  struct err *e) ST_MUST_CHECK;
void mqtt_close(struct mqtt *m); /* takes NULL; nothing is acknowledged any more */
/* Connects when there is no connection, waits at most wait_ms for the broker, and serves what came.
 * stop_fd (or -1): becomes readable to end the wait. After a failure the connection is closed and e
 * says why, fit for a technician; the next call connects anew: wait before it. ST_REFUSED: the
 * broker does not let us in, or not to a topic. One thread. */
enum st mqtt_step(struct mqtt *m, int64_t wait_ms, int stop_fd, struct err *e) ST_MUST_CHECK;
/* The broker has accepted us and every subscription. */
bool mqtt_online(const struct mqtt *m);
/* Whether the broker still had our session when it accepted us last: if not, what was sent while we
 * were away is lost. */
bool mqtt_session_kept(const struct mqtt *m);
/* MQTT's rules for topics and filters. */
bool mqtt_filter_valid(const char *filter);
bool mqtt_topic_matches(const char *filter, const char *topic);

#endif

/* One connection on a loop of our own: libmosquitto queues the acknowledgement of a message before
 * it hands the message over, and writes it at once unless told that other threads write
 * (mosquitto_threaded_set). Told so, it leaves the writing to mosquitto_loop_write, which is called
 * here behind the commit only. A connection that failed is thrown away with all that was queued on
 * it, for the object is never used for a second one. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/base/id.h"
#include "gateway/mqtt/mqtt_int.h"

#define KEEPALIVE_S 30
#define CONNECT_MS 10000
#define READS_MAX MQTT_UNACKED_MAX /* between two commits */

struct mqtt {
    const struct mqtt_cfg *cfg;
    struct mqtt_hooks hooks;
    const struct mqtt_lib *lib;
    struct mosquitto *h; /* NULL: no connection */
    int64_t begun_ms;
    bool accepted, kept;
    size_t granted;
    size_t uncommitted; /* messages taken */
    /* What was taken last, for the library does not pass on the broker's mark of a repetition. The
     * broker repeats first, in order and under the same numbers. */
    uint64_t took[MQTT_UNACKED_MAX];
    size_t took_at;
    bool repeats;
    enum st st; /* what a callback found */
    struct err why;
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- callbacks ------------------------------------------------------------------------------ */

static void fail(struct mqtt *m, enum st st, const char *what, const char *why)
{
    if (m->st == ST_OK)
        m->st = err_set(&m->why, st, "broker %s port %d: %s: %s", m->cfg->host, m->cfg->port, what,
                        why);
}

static void subscribe(struct mqtt *m)
{
    for (size_t i = 0; i < m->cfg->ntopics; i++) {
        int rc = m->lib->subscribe_v5(m->h, NULL, m->cfg->topics[i], 1,
                                      MQTT_SUB_OPT_SEND_RETAIN_NEVER, NULL);
        if (rc != MOSQ_ERR_SUCCESS)
            fail(m, ST_IO, m->cfg->topics[i], m->lib->strerror(rc));
    }
}

static void on_connect(struct mosquitto *h, void *ctx, int reason, int flags,
                       const mosquitto_property *props)
{
    struct mqtt *m = ctx;
    (void)h;
    (void)props;
    if (reason != 0) {
        fail(m, ST_REFUSED, "it does not let us in: check user, password_file and client",
             m->lib->reason_string(reason));
        return;
    }
    m->accepted = true;
    m->kept = flags & 1;
    m->repeats = m->kept;
    subscribe(m);
}

static void on_disconnect(struct mosquitto *h, void *ctx, int reason,
                          const mosquitto_property *props)
{
    struct mqtt *m = ctx;
    (void)h;
    (void)props;
    fail(m, ST_IO, "the connection ended",
         reason < 128 ? m->lib->strerror(reason) : m->lib->reason_string(reason));
}

static void on_subscribe(struct mosquitto *h, void *ctx, int mid, int n, const int *granted)
{
    struct mqtt *m = ctx;
    (void)h;
    (void)mid;
    for (int i = 0; i < n; i++) {
        if (granted[i] == 1)
            m->granted++;
        else
            fail(m, ST_REFUSED, "it refuses a topic, or its delivery with QoS 1",
                 granted[i] < 128 ? "less was granted" : m->lib->reason_string(granted[i]));
    }
}

static bool is_repeat(struct mqtt *m, uint64_t mark)
{
    for (size_t i = 0; m->repeats && i < MQTT_UNACKED_MAX; i++)
        if (m->took[i] == mark)
            return true;
    m->repeats = false;
    return false;
}

static void on_message(struct mosquitto *h, void *ctx, const struct mosquitto_message *in)
{
    struct mqtt *m = ctx;
    (void)h;
    if (m->st != ST_OK) /* the connection ends: it comes again */
        return;
    struct mqtt_message out = {.topic = in->topic,
                               .payload = in->payload,
                               .n = in->payloadlen > 0 ? (size_t)in->payloadlen : 0};
    uint64_t mark = id_hash(ID_HASH, &in->mid, sizeof in->mid);
    mark = id_hash(mark, in->topic, strlen(in->topic) + 1);
    mark = id_hash(mark, out.payload, out.n);
    out.repeat = in->qos > 0 && is_repeat(m, mark);
    m->st = m->hooks.message(m->hooks.ctx, &out, &m->why);
    if (m->st != ST_OK)
        return;
    m->uncommitted++;
    if (!out.repeat && in->qos > 0) {
        m->took[m->took_at] = mark;
        m->took_at = (m->took_at + 1) % MQTT_UNACKED_MAX;
    }
}

/* ---- the connection ------------------------------------------------------------------------- */

static void drop(struct mqtt *m)
{
    if (m->h)
        m->lib->destroy(m->h);
    m->h = NULL;
    m->accepted = false;
    m->granted = m->uncommitted = 0;
    m->st = ST_OK;
}

/* The only call that takes properties of a connection waits for the broker, however long that
 * takes. It keeps them also when it refuses the port, and the call that does not wait sends what
 * was kept. */
static int connect_async(struct mqtt *m)
{
    mosquitto_property *props = NULL;
    const struct mqtt_lib *l = m->lib;
    int rc = l->property_add_int32(&props, MQTT_PROP_SESSION_EXPIRY_INTERVAL, m->cfg->session_s);
    if (rc == MOSQ_ERR_SUCCESS)
        rc = l->property_add_int32(&props, MQTT_PROP_MAXIMUM_PACKET_SIZE, m->cfg->max_bytes);
    if (rc == MOSQ_ERR_SUCCESS)
        rc = l->property_add_int16(&props, MQTT_PROP_RECEIVE_MAXIMUM, MQTT_UNACKED_MAX);
    if (rc == MOSQ_ERR_SUCCESS &&
        l->connect_bind_v5(m->h, m->cfg->host, -1, KEEPALIVE_S, NULL, props) != MOSQ_ERR_INVAL)
        rc = MOSQ_ERR_NOT_SUPPORTED;
    l->property_free_all(&props);
    if (rc == MOSQ_ERR_SUCCESS)
        rc = l->connect_bind_async(m->h, m->cfg->host, m->cfg->port, KEEPALIVE_S, NULL);
    return rc == MOSQ_ERR_CONN_PENDING ? MOSQ_ERR_SUCCESS : rc;
}

static int set_up(struct mqtt *m)
{
    const struct mqtt_lib *l = m->lib;
    int rc = l->threaded_set(m->h, true);
    if (rc == MOSQ_ERR_SUCCESS)
        rc = l->int_option(m->h, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
    if (rc == MOSQ_ERR_SUCCESS)
        rc = l->int_option(m->h, MOSQ_OPT_RECEIVE_MAXIMUM, MQTT_UNACKED_MAX);
    if (rc == MOSQ_ERR_SUCCESS && m->cfg->user)
        rc = l->username_pw_set(m->h, m->cfg->user, m->cfg->password);
    if (rc == MOSQ_ERR_SUCCESS && m->cfg->ca)
        rc = l->tls_set(m->h, m->cfg->ca, NULL, NULL, NULL, NULL);
    if (rc == MOSQ_ERR_SUCCESS && m->cfg->ca)
        rc = l->tls_opts_set(m->h, 1, NULL, NULL); /* 1: the certificate is verified */
    l->connect_v5_callback_set(m->h, on_connect);
    l->disconnect_v5_callback_set(m->h, on_disconnect);
    l->subscribe_callback_set(m->h, on_subscribe);
    l->message_callback_set(m->h, on_message);
    return rc;
}

/* A certificate that does not hold shows as an error of the protocol alone. */
static const char *reason(const struct mqtt *m, int rc)
{
    if (m->cfg->ca && !m->accepted && (rc == MOSQ_ERR_TLS || rc == MOSQ_ERR_PROTOCOL))
        return "its certificate is not one that the CA in `ca` signed for this host, or it does "
               "not speak TLS";
    if (rc == MOSQ_ERR_ERRNO)
        return "it does not answer there";
    return m->accepted || rc != MOSQ_ERR_CONN_LOST
               ? m->lib->strerror(rc)
               : "it ended the connection: check that it speaks MQTT 5 there, and `ca`";
}

static enum st start(struct mqtt *m, struct err *e)
{
    m->h = m->lib->new (m->cfg->client, false, m);
    if (!m->h)
        return err_set(e, ST_MEMORY, "broker %s: no memory for a connection", m->cfg->host);
    m->begun_ms = now_ms();
    m->st = ST_OK;
    int rc = set_up(m);
    if (rc == MOSQ_ERR_SUCCESS)
        rc = connect_async(m);
    if (rc == MOSQ_ERR_SUCCESS)
        return ST_OK;
    drop(m);
    return err_set(e, ST_IO, "broker %s port %d: no connection: %s", m->cfg->host, m->cfg->port,
                   reason(m, rc));
}

static enum st end(struct mqtt *m, int rc, struct err *e)
{
    if (rc != MOSQ_ERR_SUCCESS)
        fail(m, ST_IO, "the connection broke", reason(m, rc));
    enum st st = m->st;
    if (e)
        *e = m->why;
    drop(m);
    return st;
}

/* All that is there, so that one commit stands for it; not so much that the broker waits. */
static int read_some(struct mqtt *m)
{
    struct pollfd p = {m->lib->socket(m->h), POLLIN, 0};
    int rc = MOSQ_ERR_SUCCESS;
    for (int i = 0; i < READS_MAX && rc == MOSQ_ERR_SUCCESS && m->st == ST_OK; i++) {
        rc = m->lib->loop_read(m->h, 1);
        if (poll(&p, 1, 0) <= 0)
            break;
    }
    return rc;
}

static int serve(struct mqtt *m, short revents)
{
    int rc = MOSQ_ERR_SUCCESS;
    if (revents & (POLLIN | POLLHUP | POLLERR))
        rc = read_some(m);
    if (rc != MOSQ_ERR_SUCCESS || m->st != ST_OK)
        return rc; /* what was taken is not acknowledged, and comes again as a repeat */
    if (m->uncommitted) {
        m->st = m->hooks.commit(m->hooks.ctx, &m->why);
        if (m->st != ST_OK)
            return rc;
        m->uncommitted = 0;
    }
    rc = m->lib->loop_write(m->h, 1);
    return rc == MOSQ_ERR_SUCCESS ? m->lib->loop_misc(m->h) : rc;
}

enum st mqtt_step(struct mqtt *m, int64_t wait_ms, int stop_fd, struct err *e)
{
    if (!m->h)
        ERR_TRY(start(m, e));
    struct pollfd p[2] = {
        {m->lib->socket(m->h), (short)(POLLIN | (m->lib->want_write(m->h) ? POLLOUT : 0)), 0},
        {stop_fd, POLLIN, 0}};
    (void)poll(p, 2, (int)wait_ms);
    if (p[1].revents)
        return ST_OK;
    int rc = serve(m, p[0].revents);
    if (rc == MOSQ_ERR_SUCCESS && m->st == ST_OK && !mqtt_online(m) &&
        now_ms() - m->begun_ms > CONNECT_MS)
        fail(m, ST_TIMEOUT, "no connection", "it does not answer");
    return rc == MOSQ_ERR_SUCCESS && m->st == ST_OK ? ST_OK : end(m, rc, e);
}

/* ---- the rest ------------------------------------------------------------------------------- */

enum st mqtt_open(struct mqtt **out, const struct mqtt_cfg *cfg, const struct mqtt_hooks *hooks,
                  struct err *e)
{
    const struct mqtt_lib *lib;
    *out = NULL;
    ERR_TRY(mqtt_lib_load(&lib, e));
    struct mqtt *m = calloc(1, sizeof *m);
    if (!m)
        return err_set(e, ST_MEMORY, "broker %s: no memory", cfg->host);
    m->cfg = cfg;
    m->hooks = *hooks;
    m->lib = lib;
    *out = m;
    return ST_OK;
}

void mqtt_close(struct mqtt *m)
{
    if (!m)
        return;
    drop(m);
    free(m);
}

bool mqtt_online(const struct mqtt *m)
{
    return m->accepted && m->granted == m->cfg->ntopics;
}

bool mqtt_session_kept(const struct mqtt *m)
{
    return m->kept;
}

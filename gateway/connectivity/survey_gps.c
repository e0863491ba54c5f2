/* Position from gpsd, over its socket: gpsd_json(5), protocol 3. */
#include "gateway/connectivity/survey_int.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/base/depth.h"
#include "sensors/quantity.h"

#define AGAIN_MS 5000
#define CONNECT_MS 2000
#define DEPTH_MAX 8
static const char watch[] = "?WATCH={\"enable\":true,\"json\":true};\n";

void connectivity_gps_init(struct connectivity_gps *g)
{
    *g = (struct connectivity_gps){.fd = -1, .receivers = -1};
}

void connectivity_gps_close(struct connectivity_gps *g)
{
    struct mono again = g->again;
    if (g->fd >= 0)
        (void)close(g->fd);
    connectivity_gps_init(g);
    g->again = again;
}

bool connectivity_gps_address(const char *text, struct connectivity_address *out)
{
    const char *colon = strrchr(text, ':');
    char host[64], *end;
    if (!colon || (size_t)(colon - text) >= sizeof host || colon[1] < '0' || colon[1] > '9')
        return false;
    unsigned long port = strtoul(colon + 1, &end, 10);
    size_t n = (size_t)(colon - text), from = n >= 2 && text[0] == '[' && colon[-1] == ']';
    memcpy(host, text + from, n - 2 * from);
    host[n - 2 * from] = '\0';
    const char *numeric = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    if (*end || port == 0 || port > 65535 || !connectivity_address_parse(numeric, out))
        return false;
    if (out->a.ss_family == AF_INET)
        ((struct sockaddr_in *)(void *)&out->a)->sin_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in6 *)(void *)&out->a)->sin6_port = htons((uint16_t)port);
    return true;
}

/* ---- what it says ---------------------------------------------------------------------------- */

static bool real(const json_t *j, const char *key, double limit, double *out)
{
    const json_t *v = json_object_get(j, key);
    *out = json_number_value(v);
    return json_is_number(v) && fabs(*out) <= limit;
}

/* In tenths; none beyond what the quantity can be. */
static struct num tenths(const json_t *j, const char *key, const char *quantity)
{
    const struct quantity *q = quantity_by_key(quantity);
    struct num v = {.kind = NUM_NONE};
    double is;
    if (real(j, key, 1e6, &is))
        v = num_dec((int64_t)lround(is * 10), -1);
    if (v.kind != NUM_NONE && (num_cmp(v, num_dec(q->min, -q->decimals)) < 0 ||
                               num_cmp(v, num_dec(q->max, -q->decimals)) > 0))
        v.kind = NUM_NONE;
    return v;
}

static void report(struct connectivity_gps *g, const json_t *j, struct mono now)
{
    const char *t = json_string_value(json_object_get(j, "time"));
    int64_t mode = json_integer_value(json_object_get(j, "mode"));
    double lat = 0, lon = 0;
    g->mode = mode == 2 || mode == 3 ? (int)mode : 0;
    if (!real(j, "lat", 90, &lat) || !real(j, "lon", 180, &lon))
        g->mode = 0;
    if (g->mode == 0)
        return;
    g->receivers = g->receivers > 0 ? g->receivers : 1;
    g->lat = lat;
    g->lon = lon;
    g->alt_m = tenths(j, "altMSL", "position_altitude");
    if (g->alt_m.kind == NUM_NONE)
        g->alt_m = tenths(j, "alt", "position_altitude");
    if (g->mode != 3)
        g->alt_m = (struct num){.kind = NUM_NONE};
    struct num x = tenths(j, "epx", "position_error"), y = tenths(j, "epy", "position_error");
    g->error_m = tenths(j, "eph", "position_error");
    if (g->error_m.kind == NUM_NONE && x.kind != NUM_NONE && y.kind != NUM_NONE)
        g->error_m = num_cmp(x, y) > 0 ? x : y;
    /* a receiver that says the same time again and again has no new fix */
    if (t && strncmp(g->time, t, sizeof g->time - 1) == 0)
        return;
    (void)snprintf(g->time, sizeof g->time, "%s", t ? t : "");
    g->fix_at = now;
}

void connectivity_gps_take(struct connectivity_gps *g, const char *line, size_t n, struct mono now)
{
    json_t *j = depth_fits(line, n, DEPTH_MAX) ? json_loadb(line, n, 0, NULL) : NULL;
    const char *class = json_string_value(json_object_get(j, "class"));
    if (!class) {
        json_decref(j);
        return;
    }
    g->heard = true;
    if (strcmp(class, "TPV") == 0) {
        report(g, j, now);
    } else if (strcmp(class, "DEVICES") == 0) {
        size_t count = json_array_size(json_object_get(j, "devices"));
        g->receivers = count > 0 ? 1 : 0;
        g->mode = count > 0 ? g->mode : 0;
    } else if (strcmp(class, "DEVICE") == 0) { /* one that came, or went: activated is 0 then */
        const json_t *on = json_object_get(j, "activated");
        bool gone = json_is_number(on) && json_number_value(on) == 0;
        g->receivers = gone ? 0 : 1;
        g->mode = gone ? 0 : g->mode;
    }
    json_decref(j);
}

enum connectivity_gps_state connectivity_gps_judge(const struct connectivity_gps *g,
                                                   struct mono now)
{
    if (g->fd < 0 || !g->heard)
        return CONNECTIVITY_GPS_AWAY;
    if (g->receivers == 0)
        return CONNECTIVITY_GPS_NOTHING;
    if (g->mode < 2)
        return CONNECTIVITY_GPS_NO_FIX;
    if (now.ms - g->fix_at.ms > CONNECTIVITY_GPS_STALE_MS)
        return CONNECTIVITY_GPS_STALE;
    return g->mode == 3 ? CONNECTIVITY_GPS_3D : CONNECTIVITY_GPS_2D;
}

/* ---- the socket ------------------------------------------------------------------------------ */

/* Whether fd is ready for `events`; not when the stop comes first. */
static bool ready(int fd, short events, struct thr_stop *stop, int64_t ms)
{
    struct pollfd fds[2] = {{.fd = fd, .events = events}, {.fd = stop->fd, .events = POLLIN}};
    return poll(fds, 2, (int)ms) > 0 && !fds[1].revents && fds[0].revents;
}

static void open_it(struct connectivity_gps *g, const struct connectivity_address *to,
                    struct thr_stop *stop)
{
    int error = 0;
    socklen_t n = sizeof error;
    int fd = socket(to->a.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    bool good = connect(fd, (const struct sockaddr *)(const void *)&to->a, to->n) == 0 ||
                (errno == EINPROGRESS && ready(fd, POLLOUT, stop, CONNECT_MS) &&
                 getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0 && error == 0);
    if (good && send(fd, watch, sizeof watch - 1, MSG_NOSIGNAL) == (ssize_t)sizeof watch - 1)
        g->fd = fd;
    else
        (void)close(fd);
}

static void bytes(struct connectivity_gps *g, const char *p, size_t n, struct mono now)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\n') {
            if (!g->skip)
                connectivity_gps_take(g, g->line, g->n, now);
            g->n = 0;
            g->skip = false;
        } else if (g->n < sizeof g->line) {
            g->line[g->n++] = p[i];
        } else {
            g->skip = true;
        }
    }
}

void connectivity_gps_hear(struct connectivity_gps *g, const struct connectivity_address *to,
                           const struct clk *clk, struct thr_stop *stop, int64_t ms)
{
    char buf[2048];
    int64_t until = clk_mono(clk_real()).ms + ms;
    if (g->fd < 0 && clk_mono(clk).ms >= g->again.ms) {
        open_it(g, to, stop);
        g->again.ms = clk_mono(clk).ms + AGAIN_MS;
    }
    do {
        int64_t left = until - clk_mono(clk_real()).ms;
        left = left > 0 ? left : 0;
        if (g->fd < 0) {
            (void)thr_stop_wait(stop, left);
            return;
        }
        if (!ready(g->fd, POLLIN, stop, left))
            return;
        ssize_t n = recv(g->fd, buf, sizeof buf, 0);
        if (n > 0)
            bytes(g, buf, (size_t)n, clk_mono(clk));
        else if (n == 0 || (errno != EAGAIN && errno != EINTR))
            connectivity_gps_close(g);
    } while (clk_mono(clk_real()).ms < until);
}

/* What the configuration says of brokers and of devices that send. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/collect/push_int.h"
#include "gateway/mqtt/mqtt.h"

#define PASSWORD_MAX 512

static bool is_here(const char *host)
{
    return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
           strncmp(host, "127.", 4) == 0;
}

static void check_tls(struct cfg *c, const struct collect_bus_cfg *b)
{
    if (b->ca || !b->host || is_here(b->host))
        return;
    if (!b->plain)
        cfg_complain(c, b,
                     "bus %s: \"ca\" is missing: the PEM file of the CA of the broker's "
                     "certificate; or plain: true, where nobody else is on the network",
                     b->id);
    else if (b->password_file)
        cfg_complain(c, &b->password_file,
                     "bus %s: a password does not travel without TLS: give ca", b->id);
}

void collect_push_check_bus(struct cfg *c, struct collect_bus_cfg *b)
{
    static char tls[] = "8883", plain[] = "1883";
    if (!b->host)
        cfg_complain(c, b, "bus %s: \"host\" is missing: the broker's name or address", b->id);
    if (!b->client)
        cfg_complain(c, b,
                     "bus %s: \"client\" is missing: a name that no other client of the broker "
                     "has, such as the gateway's id",
                     b->id);
    if (!b->port)
        b->port = b->ca ? tls : plain;
    check_tls(c, b);
    if (b->ca && b->plain)
        cfg_complain(c, &b->plain, "bus %s: plain and ca exclude each other", b->id);
    if (!b->user != !b->password_file)
        cfg_complain(c, b, "bus %s: user and password_file go together", b->id);
    struct err e;
    char *password = NULL;
    if (b->password_file && collect_push_password(&password, b->password_file, &e) != ST_OK)
        cfg_complain(c, &b->password_file, "%s", e.text);
    free(password);
}

enum st collect_push_password(char **out, const char *path, struct err *e)
{
    struct stat sb;
    char text[PASSWORD_MAX];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &sb) != 0) {
        int why = errno;
        if (fd >= 0)
            close(fd);
        return err_set(e, ST_IO, "password_file %s: %s", path, strerror(why));
    }
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (sb.st_mode & 077)
        return err_set(e, ST_REFUSED, "password_file %s: others may read it: chmod 600 it", path);
    if (n <= 0)
        return err_set(e, ST_BAD, "password_file %s: it is empty", path);
    text[n] = '\0';
    text[strcspn(text, "\r\n")] = '\0';
    *out = strdup(text);
    explicit_bzero(text, sizeof text);
    return *out ? ST_OK : err_set(e, ST_MEMORY, "no memory");
}

static void check_eui(struct cfg *c, const struct collect_bus *b, struct collect_device_cfg *d)
{
    if (!d->dev_eui) {
        cfg_complain(c, d, "device %s: \"dev_eui\" is missing: 16 hex digits", d->id);
        return;
    }
    if (strlen(d->dev_eui) != 16 || strspn(d->dev_eui, "0123456789abcdefABCDEF") != 16)
        cfg_complain(c, &d->dev_eui, "dev_eui %s: write 16 hex digits", d->dev_eui);
    for (char *p = d->dev_eui; *p; p++)
        if (*p >= 'A' && *p <= 'F')
            *p = (char)(*p + 'a' - 'A');
    for (size_t i = 0; i < b->n; i++)
        if (b->devices[i]->cfg->dev_eui && strcmp(b->devices[i]->cfg->dev_eui, d->dev_eui) == 0)
            cfg_complain(c, &d->dev_eui, "dev_eui %s on bus %s is %s already", d->dev_eui,
                         b->cfg->id, b->devices[i]->cfg->id);
}

void collect_push_check_device(struct cfg *c, const struct collect_bus *b,
                               struct collect_device_cfg *d)
{
    if (!cfg_given(c, &d->every_ms))
        d->every_ms = 0; /* event-driven */
    if (b->cfg->type == COLLECT_HTTP) {
        if (d->topic)
            cfg_complain(c, &d->topic, "device %s: a device on an http bus has no topic", d->id);
        if (d->format && d->format != COLLECT_SENML)
            cfg_complain(c, &d->format, "device %s: what is posted is senml", d->id);
        if (!d->base)
            cfg_complain(c, d, "device %s: \"base\" is missing: how its names begin", d->id);
    }
    if (!d->format)
        cfg_complain(c, d, "device %s: \"format\" is missing: chirpstack, senml or json", d->id);
    if (d->format == COLLECT_CHIRPSTACK)
        check_eui(c, b, d);
    else if (d->dev_eui)
        cfg_complain(c, &d->dev_eui, "device %s: dev_eui is for format chirpstack", d->id);
    if (d->format && d->format != COLLECT_CHIRPSTACK && !d->topic && b->cfg->type == COLLECT_MQTT)
        cfg_complain(c, d, "device %s: \"topic\" is missing: where its messages come", d->id);
    if (d->topic && !mqtt_filter_valid(d->topic))
        cfg_complain(c, &d->topic,
                     "topic \"%s\": + and # stand alone between slashes, # at the end", d->topic);
    if (d->base && d->format != COLLECT_SENML)
        cfg_complain(c, &d->base, "device %s: base is for format senml", d->id);
}

/* What a person says is the value itself, in its own unit. */
static void check_manual(struct cfg *c, const struct collect_device *d)
{
    for (size_t i = 0; i < d->profile->n; i++) {
        const struct collect_point *p = &d->profile->points[i];
        const struct collect_source *s = &d->profile->sources[i];
        if (d->wanted[i] &&
            (s->from || s->port || p->no_value.n || num_cmp(p->scale, num_dec(1, 0)) != 0 ||
             num_cmp(p->offset, num_dec(0, 0)) != 0))
            cfg_complain(c, &d->cfg->profile,
                         "the mapping %s: %s is entered by hand: name, quantity and valid are all "
                         "that it has",
                         d->cfg->profile, p->name);
    }
    if (d->profile->time)
        cfg_complain(c, &d->cfg->profile,
                     "the mapping %s: time is of messages, not of what is "
                     "entered by hand",
                     d->cfg->profile);
}

void collect_push_check_points(struct cfg *c, const struct collect_device *d)
{
    int format = d->cfg->format;
    if (d->bus->cfg->type == COLLECT_MANUAL) {
        check_manual(c, d);
        return;
    }
    for (size_t i = 0; i < d->profile->n; i++) {
        const struct collect_source *s = &d->profile->sources[i];
        bool pointer = s->from && s->from[0] == '/';
        bool found = format == COLLECT_SENML ||
                     (format == COLLECT_CHIRPSTACK ? pointer || (!s->from && s->port) : pointer);
        if (d->wanted[i] && !found)
            cfg_complain(c, &d->cfg->profile,
                         "the mapping %s does not say where %s is: from: a pointer like "
                         "/object/level%s",
                         d->cfg->profile, d->profile->points[i].name,
                         format == COLLECT_CHIRPSTACK ? ", or port and at" : "");
    }
}

enum st collect_push_open_device(struct collect_device *d, struct err *e)
{
    const struct collect_device_cfg *cfg = d->cfg;
    const char *way = d->bus->cfg->type == COLLECT_HTTP     ? "POST"
                      : d->bus->cfg->type == COLLECT_MANUAL ? "by hand"
                                                            : cfg->topic;
    int n = way ? asprintf(&d->topic, "%s", way)
                : asprintf(&d->topic, "application/+/device/%s/event/up",
                           cfg->dev_eui ? cfg->dev_eui : "");
    if (n < 0)
        d->topic = NULL;
    d->seen = calloc(d->profile->n, sizeof *d->seen);
    return d->topic && d->seen ? ST_OK
                               : err_set(e, ST_MEMORY, "collect: no memory for device %s", cfg->id);
}

void collect_push_close_device(struct collect_device *d)
{
    free(d->topic);
    free(d->seen);
}

/* JSON by pointers (RFC 6901), and the events of ChirpStack v4 (its
 * api/proto/integration/integration.proto, in the JSON that it sends by default). */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/base/depth.h"
#include "gateway/collect/push_int.h"

#define MS_FROM 1e11             /* a number of seconds is below it until the year 5138 */
#define MS_MAX 253402300799999.0 /* the year 9999 */
#define KEY_MAX 128
#define DEPTH_MAX 32

struct json_t *collect_json_load(const void *p, size_t n, struct err *e)
{
    json_error_t why;
    if (!depth_fits(p, n, DEPTH_MAX)) {
        (void)err_set(e, ST_BAD, "no JSON that we read: nested deeper than %d", DEPTH_MAX);
        return NULL;
    }
    json_t *j = json_loadb(p, n, JSON_REJECT_DUPLICATES, &why);
    if (!j)
        (void)err_set(e, ST_BAD, "no JSON: line %d column %d: %s", why.line, why.column, why.text);
    return j;
}

/* One part of a pointer, with ~1 and ~0 undone; false: it is too long for any key of ours. */
static bool part(const char **p, char key[KEY_MAX])
{
    size_t n = 0;
    for (++*p; **p && **p != '/'; ++*p) {
        char c = **p;
        if (c == '~' && ((*p)[1] == '0' || (*p)[1] == '1'))
            c = *++*p == '0' ? '~' : '/';
        if (n + 1 == KEY_MAX)
            return false;
        key[n++] = c;
    }
    key[n] = '\0';
    return true;
}

/* What a pointer shows; *parent: the last object on the way, leaf in key. */
static json_t *point_at(json_t *j, const char *pointer, json_t **parent, char key[KEY_MAX])
{
    *parent = NULL;
    while (j && *pointer) {
        if (*pointer != '/' || !part(&pointer, key))
            return NULL;
        char *end;
        unsigned long i = strtoul(key, &end, 10);
        if (*pointer == '\0')
            *parent = j;
        j = json_is_array(j) ? (*key && !*end ? json_array_get(j, i) : NULL)
                             : json_object_get(j, key);
    }
    return j;
}

/* A number, a truth, or a text that is a decimal. */
static bool number(const json_t *j, struct num *v)
{
    *v = (struct num){.kind = NUM_NONE};
    if (json_is_integer(j))
        *v = num_dec(json_integer_value(j), 0);
    else if (json_is_real(j))
        *v = collect_num_of(json_real_value(j));
    else if (json_is_boolean(j))
        *v = num_dec(json_is_true(j), 0);
    else if (json_is_string(j))
        return num_parse(json_string_value(j), v);
    else
        return json_is_null(j);
    return true;
}

static enum st add(struct collect_pack *k, size_t point, const json_t *j, int64_t t_ms)
{
    struct num v;
    if (!number(j, &v)) {
        k->strange++;
        return ST_OK;
    }
    /* the scale of a point in a payload is the payload's: here a codec has applied its own */
    return collect_pack_add(k, point, v, k->profile->sources[point].port != 0, t_ms);
}

/* RFC 3339, or seconds or milliseconds since 1970; 0: neither. */
static int64_t time_of(const json_t *j)
{
    int64_t t;
    if (json_is_string(j))
        return collect_time_parse(json_string_value(j), &t) && t > 0 ? t : 0;
    double f = json_number_value(j);
    if (!json_is_number(j) || !(f > 0))
        return 0;
    f = f < MS_FROM ? f * 1000 : f;
    return f < MS_MAX ? (int64_t)llround(f) : 0;
}

enum st collect_json_read(struct collect_pack *k, const void *p, size_t n, struct err *e)
{
    json_t *j = collect_json_load(p, n, e), *parent;
    char key[KEY_MAX];
    if (!j)
        return ST_BAD;
    int64_t t_ms = k->profile->time ? time_of(point_at(j, k->profile->time, &parent, key)) : 0;
    enum st st = ST_OK;
    if (k->profile->time && t_ms == 0)
        st = err_set(e, ST_BAD, "no time at %s", k->profile->time);
    for (size_t i = 0; i < k->profile->n && st == ST_OK; i++) {
        const char *from = k->profile->sources[i].from;
        json_t *v = from ? point_at(j, from, &parent, key) : NULL;
        if (v)
            st = add(k, i, v, t_ms);
    }
    json_decref(j);
    return st;
}

/* ---- ChirpStack ----------------------------------------------------------------------------- */

/* The objects of its gateways leave numbers out that are zero; the event itself does not. */
static bool is_zero(const char *pointer, const json_t *parent, const char *key)
{
    static const char *const zeros[] = {"rssi", "snr", "channel", "rfChain", "board", "antenna"};
    if (strncmp(pointer, "/rxInfo/", 8) != 0 || !json_is_object(parent))
        return false;
    for (size_t i = 0; i < sizeof zeros / sizeof *zeros; i++)
        if (strcmp(zeros[i], key) == 0)
            return true;
    return false;
}

/* RFC 4648; the bytes, or -1. */
static int unbase64(const char *text, uint8_t out[COLLECT_UPLINK_MAX])
{
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = strlen(text), got = 0;
    uint32_t bits = 0;
    unsigned have = 0;
    if (n % 4 != 0)
        return -1;
    while (n > 0 && text[n - 1] == '=' && strlen(text) - n < 2)
        n--;
    for (size_t i = 0; i < n; i++) {
        const char *at = text[i] ? strchr(set, text[i]) : NULL;
        if (!at)
            return -1;
        bits = bits << 6 | (uint32_t)(at - set);
        have += 6;
        if (have < 8)
            continue;
        if (got == COLLECT_UPLINK_MAX)
            return -1;
        have -= 8;
        out[got++] = (uint8_t)(bits >> have);
    }
    return (int)got;
}

/* The network server numbers what it received; a second server that hears the same radio does not
 * know that number, but counter and bytes are the radio's own. */
static void mark(struct collect_pack *k, json_t *j, const char *eui, const char *data)
{
    const char *id = json_string_value(json_object_get(j, "deduplicationId"));
    const char *addr = json_string_value(json_object_get(j, "devAddr"));
    json_int_t count = json_integer_value(json_object_get(j, "fCnt"));
    if (id && *id)
        k->marks[0] = collect_mark(collect_mark(0, "id", 2), id, strlen(id));
    if (json_is_integer(json_object_get(j, "fCnt"))) {
        uint64_t h = collect_mark(collect_mark(0, eui, 16), &count, sizeof count);
        h = collect_mark(h, data, strlen(data));
        k->marks[1] = collect_mark(h, addr ? addr : "", addr ? strlen(addr) : 0);
    }
}

static enum st uplink(struct collect_pack *k, json_t *j, const char *eui, struct err *e)
{
    const char *data = json_string_value(json_object_get(j, "data"));
    int64_t t_ms = time_of(json_object_get(j, "time")), port = 0;
    json_t *object = json_object_get(j, "object"), *parent;
    uint8_t bytes[COLLECT_UPLINK_MAX];
    char key[KEY_MAX];
    enum st st = ST_OK;
    if (t_ms == 0)
        return err_set(e, ST_BAD, "an uplink without a time");
    mark(k, j, eui, data ? data : "");
    for (size_t i = 0; i < k->profile->n && st == ST_OK; i++) {
        const char *from = k->profile->sources[i].from;
        json_t *v = from ? point_at(j, from, &parent, key) : NULL;
        if (v)
            st = add(k, i, v, t_ms);
        else if (from && is_zero(from, parent, key))
            st = collect_pack_add(k, i, num_dec(0, 0), false, t_ms);
    }
    if (json_is_object(object) || !data || st != ST_OK)
        return st;
    port = json_integer_value(json_object_get(j, "fPort"));
    int n = unbase64(data, bytes);
    if (n < 0)
        return err_set(e, ST_BAD, "an uplink whose data is not base64 of at most %d bytes",
                       COLLECT_UPLINK_MAX);
    return collect_payload_read(k, port, bytes, (size_t)n, t_ms);
}

enum st collect_chirpstack_read(struct collect_pack *k, const char *dev_eui, const void *p,
                                size_t n, struct err *e)
{
    json_t *j = collect_json_load(p, n, e);
    if (!j)
        return ST_BAD;
    const char *eui =
        json_string_value(json_object_get(json_object_get(j, "deviceInfo"), "devEui"));
    enum st st = ST_OK;
    if (!eui)
        st = err_set(e, ST_BAD, "no uplink of ChirpStack v4: it lacks deviceInfo.devEui");
    else if (strcasecmp(eui, dev_eui) != 0)
        k->empty = true;
    else
        st = uplink(k, j, dev_eui, e);
    json_decref(j);
    return st;
}

/* The configuration of the box that this one replaces: written beside the one that is here, looked
 * at, and left to a person to put in force. */
#include "gateway/cli/restore.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/base/id.h"
#include "gateway/cli/cli.h"

#define PATH_BYTES 1024
#define MODE 0644 /* no secret is in it: `fieldpost run` may read it as another user */

__attribute__((format(printf, 2, 3))) static void say(const struct cli_restore *r, const char *fmt,
                                                      ...)
{
    char text[2 * PATH_BYTES];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    r->say(text);
}

/* ---- files ---- */

static bool is_same(const char *path, struct wire_span want)
{
    struct buf b;
    buf_init(&b, WIRE_DEPOSIT_FILE_MAX + 1);
    bool same =
        wire_file_get(path, &b, NULL) == ST_OK && b.n == want.n && memcmp(b.p, want.p, want.n) == 0;
    buf_done(&b);
    return same;
}

static enum st put(const char *path, struct wire_span content, struct err *e)
{
    enum st st = wire_file_put(path, content.p, content.n, MODE, false, e);
    if (st != ST_CONFLICT || is_same(path, content)) {
        return st == ST_CONFLICT ? ST_OK : st;
    }
    return err_set(e, ST_CONFLICT,
                   "%s is there, with other content: move it away and give this command again "
                   "(without a code)",
                   path);
}

/* Names of profiles are the other box's word. Only a *.yaml below the folder is written where it
 * wants to be, and no part of its path begins with a dot. */
static bool is_harmless(struct wire_span name)
{
    static const char tail[] = ".yaml";
    static const char known[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t n = sizeof(tail) - 1;
    bool begins = true;
    if (name.n <= n || memcmp(name.p + name.n - n, tail, n) != 0) {
        return false;
    }
    for (size_t i = 0; i < name.n; i++) {
        char c = (char)name.p[i];
        bool letter = c && strchr(known, c) != NULL;
        if (!letter && (begins || (c != '/' && c != '.'))) {
            return false;
        }
        begins = c == '/';
    }
    return true;
}

/* The folders of path that lie below the first `from` bytes of it. */
static enum st make_folders(char *path, size_t from, struct err *e)
{
    for (char *p = path + from; (p = strchr(p, '/')); p++) {
        *p = '\0';
        bool good = mkdir(path, 0755) == 0 || errno == EEXIST;
        int why = errno;
        *p = '/';
        if (!good) {
            return err_set(e, ST_IO, "%s: its folder cannot be made: %s", path, strerror(why));
        }
    }
    return ST_OK;
}

/* Where the configuration looks for it; path begins with `folder` bytes that are there. */
static enum st put_own(char *path, int folder, const struct wire_deposit_file *f, struct err *e)
{
    ERR_TRY(make_folders(path, (size_t)folder, e));
    return put(path, f->content, e);
}

/* One that cannot be written does not keep the others back. */
static enum st put_profile(const struct cli_restore *r, const struct wire_deposit_file *f, size_t i,
                           struct err *e)
{
    char own[PATH_BYTES], beside[PATH_BYTES];
    const char *slash = strrchr(r->path, '/'), *name = (const char *)f->name.p;
    int folder = slash ? (int)(slash - r->path) + 1 : 0, len = (int)f->name.n;
    struct err why = {.text = ""};
    if (snprintf(own, sizeof(own), "%.*s%.*s", folder, r->path, len, name) >= (int)sizeof(own) ||
        snprintf(beside, sizeof(beside), "%s.restored.%zu.yaml", r->path, i) >=
            (int)sizeof(beside)) {
        return err_set(e, ST_BAD, "%s: the path is too long", r->path);
    }
    bool harmless = is_harmless(f->name);
    if (harmless && put_own(own, folder, f, &why) == ST_OK) {
        say(r, "its profile is in %s", own);
        return ST_OK;
    }
    enum st st = put(beside, f->content, e);
    if (st == ST_CONFLICT) {
        say(r,
            "its profile %.*s is not written: %s is there, with other content: move it away and "
            "give this command again",
            len, name, beside);
    } else if (st == ST_OK && harmless) {
        say(r, "its profile %.*s is in %s and not in its place: %s", len, name, beside, why.text);
    } else if (st == ST_OK) {
        say(r, "its profile %.*s is in %s: look at it and move it there", len, name, beside);
    }
    return st == ST_CONFLICT ? ST_OK : st;
}

/* ---- what is not so here ---- */

static void compare(const struct cli_restore *r, const char *what, const char *there,
                    const char *here)
{
    if (there && here && strcmp(there, here) != 0) {
        say(r, "  %s is %s in it and %s here: change it", what, there, here);
    }
}

static void compare_ports(const struct cli_restore *r, const struct collect *k)
{
    for (size_t i = 0; i < collect_bus_count(k); i++) {
        const char *bus, *port = collect_bus_serial(k, i, &bus);
        if (port && access(port, F_OK) != 0) {
            say(r,
                "  bus %s: there is no %s here: adapters have other names on other boxes; see "
                "ls /dev/serial/by-id and change it",
                bus, port);
        }
    }
}

static void compare_uplinks(const struct cli_restore *r, const struct uplinks *u)
{
    for (size_t i = 0; i < uplinks_count(u); i++) {
        const char *identity = uplinks_identity(u, i);
        if (access(identity, F_OK) != 0) {
            say(r,
                "  uplinks.%s looks for this box's certificate in %s, and it is not there: see "
                "identity, or name the uplink as in %s",
                uplinks_id(u, i), identity, r->path);
        }
    }
}

/* Every mistake, a line each. */
static void complain(const struct cli_restore *r, const struct cfg *c, const char *otherwise)
{
    const char *text = "";
    if (!c || cfg_complaints(c, &text) == 0) {
        text = otherwise;
    }
    for (size_t n; *text; text += n + (text[n] != '\0')) {
        n = strcspn(text, "\n");
        say(r, "  %.*s", (int)n, text);
    }
}

static void look_at(const struct cli_restore *r, const char *path)
{
    struct cli_config c;
    struct err e = {.text = ""};
    enum st st = cli_config_open(&c, path, &e);
    if (st != ST_OK) {
        complain(r, c.cfg, e.text);
    }
    compare(r, "gateway.id", c.gateway.id, r->c->gateway.id);
    compare(r, "store.path", c.store.path, r->c->store.path);
    compare(r, "seal.key", c.seal.key, r->c->seal.key);
    if (st == ST_OK) {
        compare_ports(r, c.collect_room);
        compare_uplinks(r, c.uplinks_room);
    }
    cli_config_done(&c);
}

enum st cli_restore(void *restore, const struct wire_deposit *d, const char *why, struct err *e)
{
    const struct cli_restore *r = restore;
    char path[PATH_BYTES], when[CLK_TEXT_BYTES];
    if (!d) {
        say(r,
            "the configuration of the other box does not come back (%s): write one, or bring a "
            "copy",
            why);
        return ST_OK;
    }
    bool here = is_same(r->path, d->file[0].content);
    int n = snprintf(path, sizeof(path), "%s%s", r->path, here ? "" : ".restored");
    if (n < 0 || (size_t)n >= sizeof(path)) {
        return err_set(e, ST_BAD, "%s: the path is too long", r->path);
    }
    if (!here) {
        ERR_TRY(put(path, d->file[0].content, e));
    }
    say(r, "the configuration of the other box, as it was signed at %s, is in %s",
        clk_text(d->when_ms, when), path);
    for (size_t i = 1; i < d->nfiles; i++) {
        ERR_TRY(put_profile(r, &d->file[i], i, e));
    }
    look_at(r, path);
    if (here) {
        say(r, "next: fieldpost check --config %s, then start the gateway", r->path);
    } else {
        say(r,
            "next: look through %s, then mv %s %s && fieldpost check --config %s, and start the "
            "gateway",
            path, path, r->path, r->path);
    }
    return ST_OK;
}

/* ---- the first ---- */

static bool is_plain(const char *s)
{
    for (; *s; s++) {
        if (*s < ' ' || *s == 0x7f || *s == '"' || *s == '\\') {
            return false;
        }
    }
    return true;
}

enum st cli_first_config(const char *path, const char *id, const char *city, struct err *e)
{
    static const char installed[] = "/etc/fieldpost/", state[] = "/var/lib/fieldpost/";
    const char *slash = strrchr(path, '/');
    int n = slash ? (int)(slash - path) + 1 : 0;
    bool is_installed = n == sizeof(installed) - 1 && strncmp(path, installed, (size_t)n) == 0;
    const char *own = is_installed ? state : path;
    int own_n = is_installed ? (int)sizeof(state) - 1 : n;
    char key[PATH_BYTES];
    struct buf b;
    if (!id_is_text(id)) {
        return err_set(e, ST_BAD, "--replaces %s: an id is [A-Za-z0-9][A-Za-z0-9._-]*", id);
    }
    enum st st = uplink_url_check(city, e);
    if (st != ST_OK) {
        return err_wrap(e, st, "--city");
    }
    if (!is_plain(path) || !is_plain(city)) {
        return err_set(e, ST_BAD,
                       "--config and --city: no quotes, backslashes or control characters");
    }
    if (snprintf(key, sizeof(key), "%.*sdevice.key", own_n, own) >= (int)sizeof(key)) {
        return err_set(e, ST_BAD, "%s: the path is too long", path);
    }
    buf_init(&b, 8 * PATH_BYTES);
    st = buf_printf(&b,
                    "gateway: {id: \"%s\"}\nstore: {path: \"%.*sfieldpost.db\"}\n"
                    "seal: {key: \"%s\"}\nuplinks:\n  city: {url: \"%s\", ca: "
                    "\"%.*scity-ca.pem\", receipt_keys: [\"%.*scity-sign.pub\"]}\n",
                    id, own_n, own, key, city, n, path, n, path);
    st = st == ST_OK ? wire_file_put(path, b.p, b.n, MODE, false, e)
                     : err_set(e, st, "%s: no room for a configuration", path);
    buf_done(&b);
    if (st == ST_OK) {
        st = wire_key_make(key, e);
        st = st == ST_CONFLICT ? ST_OK : st; /* this box has one */
    }
    return st;
}

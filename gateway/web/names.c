/* The names and addresses under which this machine is found. An address that is another one soon
 * would only bring certificates that nobody has seen before, so that a person learns to click the
 * warning away: such are left out. */
#include "gateway/web/names_int.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/web/web.h"

#define IF_INET6 "/proc/net/if_inet6"
#define INTERFACES_MAX 64 /* lines of it that are looked at */

static bool is_name(const char *s)
{
    size_t n = strlen(s);
    for (const char *p = s; *p; p++)
        if (!isalnum((unsigned char)*p) && *p != '-' && *p != '.' && *p != '_')
            return false;
    return n > 0 && n < WIRE_NAME_TEXT;
}

enum st web_check(const struct web_cfg *cfg, struct err *e)
{
    if (cfg->names.n > WEB_NAMES_MAX / 4)
        return err_set(e, ST_BAD, "web.names: at most %d", WEB_NAMES_MAX / 4);
    for (size_t i = 0; i < cfg->names.n; i++)
        if (!is_name(cfg->names.v[i]))
            return err_set(e, ST_BAD, "web.names: \"%.80s\" is no name such as box-1.local",
                           cfg->names.v[i]);
    return ST_OK;
}

bool web_names_have(const struct web_names *names, const char *text)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcasecmp(names->text[i], text) == 0)
            return true;
    return false;
}

void web_names_add(struct web_names *names, const char *text)
{
    if (names->n < WEB_NAMES_MAX && strlen(text) < WIRE_NAME_TEXT && !web_names_have(names, text))
        (void)snprintf(names->text[names->n++], WIRE_NAME_TEXT, "%s", text);
}

/* A modem or a tunnel: nobody stands at its other end, and the address is often another each day.
 */
static bool is_lasting(unsigned flags)
{
    return !(flags & (IFF_LOOPBACK | IFF_POINTOPOINT));
}

void web_names_add_v4(struct web_names *names, const struct ifaddrs *all)
{
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        char text[INET6_ADDRSTRLEN];
        const struct sockaddr_in *v4 = (const void *)i->ifa_addr;
        if (v4 && v4->sin_family == AF_INET && is_lasting(i->ifa_flags) &&
            inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text))
            web_names_add(names, text);
    }
}

/* Flags of an address, linux/if_addr.h: one that the machine draws anew each day (RFC 8981), or
 * that another machine has, or that nobody has tried yet. */
#define FLAG_TEMPORARY 0x01U
#define FLAG_DAD_FAILED 0x08U
#define FLAG_TENTATIVE 0x40U
#define SCOPE_LINK 0x20U /* good with a zone alone, which no certificate can say */

static unsigned flags_of(const struct ifaddrs *all, const char *interface)
{
    for (const struct ifaddrs *i = all; i; i = i->ifa_next)
        if (strcmp(i->ifa_name, interface) == 0)
            return i->ifa_flags;
    return IFF_LOOPBACK; /* gone meanwhile */
}

/* Address, index, prefix, scope, flags, interface; all but the last in hex. */
enum { ADDRESS, SCOPE = 3, FLAGS, INTERFACE, WORDS };

static bool split(char *line, char *word[WORDS])
{
    size_t n = 0;
    for (char *w; n < WORDS && (w = strsep(&line, " \n"));)
        if (*w)
            word[n++] = w;
    return n == WORDS;
}

static bool is_hex(const char *text, unsigned long *out)
{
    char *end;
    *out = strtoul(text, &end, 16);
    return end != text && *end == '\0';
}

static bool lasts(char *line, const struct ifaddrs *all, struct in6_addr *v6)
{
    char *word[WORDS];
    unsigned long scope, flags;
    return split(line, word) && wire_unhex(word[ADDRESS], v6->s6_addr, sizeof v6->s6_addr) &&
           is_hex(word[SCOPE], &scope) && scope != SCOPE_LINK && is_hex(word[FLAGS], &flags) &&
           !(flags & (FLAG_TEMPORARY | FLAG_DAD_FAILED | FLAG_TENTATIVE)) &&
           is_lasting(flags_of(all, word[INTERFACE]));
}

void web_names_add_v6(struct web_names *names, FILE *lines, const struct ifaddrs *all)
{
    char line[128], text[INET6_ADDRSTRLEN];
    struct in6_addr v6;
    for (int i = 0; i < INTERFACES_MAX && fgets(line, sizeof line, lines); i++)
        if (lasts(line, all, &v6) && inet_ntop(AF_INET6, &v6, text, sizeof text))
            web_names_add(names, text);
}

static void add_interfaces(struct web_names *names)
{
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) != 0)
        return;
    FILE *lines = fopen(IF_INET6, "re"); /* none where IPv6 is off */
    web_names_add_v4(names, all);
    if (lines) {
        web_names_add_v6(names, lines, all);
        (void)fclose(lines);
    }
    freeifaddrs(all);
}

/* An address at which alone it listens. */
static void add_listen(struct web_names *names, const char *listen)
{
    char host[INET6_ADDRSTRLEN + 2];
    uint8_t address[16];
    const char *end = strrchr(listen, ':');
    listen += *listen == '[';
    (void)snprintf(host, sizeof host, "%.*s", end ? (int)(end - listen) : 0, listen);
    host[strcspn(host, "]")] = '\0';
    if ((inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1) &&
        strcmp(host, "0.0.0.0") != 0 && strcmp(host, "::") != 0)
        web_names_add(names, host);
}

void web_names_find(struct web_names *names, const struct web_cfg *cfg, const char *id,
                    bool addresses)
{
    char host[65] = "", local[80];
    names->n = 0;
    for (size_t i = 0; i < cfg->names.n; i++)
        web_names_add(names, cfg->names.v[i]);
    web_names_add(names, "localhost");
    web_names_add(names, "127.0.0.1");
    web_names_add(names, "::1");
    if (id && is_name(id)) {
        (void)snprintf(local, sizeof local, "%s.local", id);
        web_names_add(names, id);
        web_names_add(names, local);
    }
    add_listen(names, cfg->listen);
    if (gethostname(host, sizeof host - 1) == 0 && is_name(host)) {
        (void)snprintf(local, sizeof local, "%s.local", host);
        web_names_add(names, host);
        web_names_add(names, local);
    }
    if (addresses)
        add_interfaces(names);
}
